"""Which request of a mix is far slower than another one: what it alone needs is what limits the stage.

A lack of CPU slows down all requests of a process; a pool or a lock, only those that need it.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from runner.core.findings import Evidence
from runner.core.measured import Part
from runner.core.stage_results import Stage

UNEQUAL: Final = 10.0
"""Median duration of a mix's slowest request, divided by that of its fastest; our own bound."""
_MOST: Final = 0.5


class _Unequal(NamedTuple):
    """Two requests of a mix with median durations in milliseconds; infinite where half of them timed out."""

    slow: str
    slow_ms: float
    quick: str
    quick_ms: float


def unequal_requests_phrase(stage: Stage) -> str:
    """Return the slowest and the fastest request of a mix as the end of a sentence; else empty."""
    found = _unequal(stage)
    if found is None:
        return ""
    quick_ms = f"{found.quick_ms:,.3g} ms"
    if math.isfinite(found.slow_ms):
        slow = f"{found.slow} was {found.slow_ms:,.3g} ms"
        return f"; the median duration of {slow}, that of {found.quick} {quick_ms}"
    requests = stage.request_parts[found.slow].requests
    failed = f"{requests.failed:,} of {requests.scheduled:,} requests {found.slow} failed"
    return f"; {failed}, while the median duration of {found.quick} was {quick_ms}"


def unequal_requests_evidence(stage: Stage) -> tuple[Evidence, ...]:
    """Return the same as numbers."""
    found = _unequal(stage)
    if found is None:
        return ()
    slow = Evidence(f"median duration of {found.slow}", found.slow_ms, "ms")
    if not math.isfinite(found.slow_ms):
        failed = stage.request_parts[found.slow].requests.failed
        slow = Evidence(f"requests {found.slow} that failed", failed, "requests")
    return slow, Evidence(f"median duration of {found.quick}", found.quick_ms, "ms")


def _unequal(stage: Stage) -> _Unequal | None:
    medians = {name: _median_ms(part) for name, part in stage.request_parts.items()}
    known = sorted((median, name) for name, median in medians.items() if median is not None)
    if len(known) < 2 or known[-1][0] <= UNEQUAL * known[0][0]:
        return None
    return _Unequal(known[-1][1], known[-1][0], known[0][1], known[0][0])


def _median_ms(part: Part) -> float | None:
    """Return the median duration; infinite where half of the requests timed out."""
    if part.requests.failures.get("timeout", 0) >= _MOST * max(1, part.requests.scheduled):
        return math.inf
    return part.duration_ms.p50
