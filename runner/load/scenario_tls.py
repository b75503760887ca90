"""Scenarios in which some or all connections have TLS."""

# ruff: noqa: SLF001  (the methods of a class's own ancestors)

from __future__ import annotations

from typing import Any

from runner.core.endpoint import Tls
from runner.core.units import Nanoseconds
from runner.load.connection import Connection
from runner.load.exchange import Exchange
from runner.load.scenario_exchange import ScenarioExchange
from runner.load.tally import Tally
from runner.load.timeline import Timeline
from runner.load.tls_exchange import TlsConnection, TlsExchange
from runner.load.worker_order import WorkerOrder


class ScenarioTlsExchange(ScenarioExchange, TlsExchange):
    """`ScenarioExchange` whose connections have TLS where the URL begins with https.

    Args:
        order: As for `ScenarioExchange`.
        timeline: Likewise.
        tls: How certificates are verified.
    """

    def __init__(self, order: WorkerOrder, timeline: Timeline, tls: Tls) -> None:
        super().__init__(order, timeline, tls)
        self._target_name = tls.server_name

    def _new_connection(self, *args: Any, measured: bool, user: int) -> Connection:
        origin = self._next_origin
        if not origin.secure:
            return self._new_plain_connection(*args, measured=measured, user=user)
        self._server_name = self._target_name if origin is self._home.origin else origin.host
        return ScenarioExchange._new_connection(self, *args, measured=measured, user=user)

    def _finish_connect(self, connection: Connection) -> None:
        _owner(connection)._finish_connect(self, connection)

    def _send(self, connection: Connection, data: bytes) -> None:
        _owner(connection)._send(self, connection, data)

    def _handle(self, connection: Connection, mask: int) -> None:
        _owner(connection)._handle(self, connection, mask)

    def _read_failed(self, connection: Connection, error: OSError) -> None:
        _owner(connection)._read_failed(self, connection, error)

    def _completed_by_close(self, connection: Connection) -> bool:
        completed: bool = _owner(connection)._completed_by_close(self, connection)
        return completed

    def _written(self, connection: Connection) -> int:
        count: int = _owner(connection)._written(self, connection)
        return count

    def _count_connection_times(self, tally: Tally, connection: Connection) -> Nanoseconds:
        ready: Nanoseconds = _owner(connection)._count_connection_times(self, tally, connection)
        return ready


def _owner(connection: Connection) -> Any:
    """Return the class whose methods treat a connection."""
    return TlsExchange if isinstance(connection, TlsConnection) else Exchange


def mixed_exchange(plain: type[ScenarioExchange]) -> type[ScenarioExchange]:
    """Return the exchange for servers with and without TLS.

    Args:
        plain: The one for plain HTTP, which may be compiled.
    """
    if plain is ScenarioExchange:
        return ScenarioTlsExchange
    return type("FastScenarioTlsExchange", (ScenarioTlsExchange, plain), {})
