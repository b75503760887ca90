"""Scenarios over HTTPS."""

from __future__ import annotations

from runner.load.scenario_exchange import ScenarioExchange
from runner.load.tls_exchange import TlsExchange


class ScenarioTlsExchange(ScenarioExchange, TlsExchange):
    """`ScenarioExchange` whose connections have TLS."""
