"""All rules, in the order in which findings of equal confidence are listed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from runner.analyze.rules import cpu
from runner.analyze.rules.concurrency import CONCURRENCY
from runner.analyze.rules.connections import CONNECTIONS
from runner.analyze.rules.disk import IO
from runner.analyze.rules.errors import ERRORS
from runner.analyze.rules.memory import MEMORY
from runner.analyze.rules.pool import POOL
from runner.analyze.rules.quota import QUOTA
from runner.analyze.rules.service import SERVICE
from runner.analyze.rules.types import Rule
from runner.core.codes import Limit

_CPU: Final = (QUOTA, SERVICE, cpu.APP, cpu.PROXY, cpu.FORWARDER, cpu.HOST)
_ORDERED: Final = (MEMORY, CONNECTIONS, ERRORS, *_CPU, IO, POOL, CONCURRENCY)
RULES: Final[Mapping[Limit, Rule]] = {rule.limit: rule for rule in _ORDERED}
"""Limit to its rule."""
