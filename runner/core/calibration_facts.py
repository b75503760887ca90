"""The generator's own error, measured against a server that does nothing."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from runner.core.units import PerSecond


class Spacing(Struct, frozen=True, omit_defaults=True):
    """The gaps between requests at their receiver, by the kernel's receive timestamps.

    Attributes:
        error_p50_us: Median of |observed gap − planned gap|; includes batching by a quantum.
        error_p99_us: 99th percentile of the same.
    """

    planned_gap_us: float
    median_gap_us: float
    error_p50_us: float
    error_p99_us: float


class Floor(Struct, frozen=True, omit_defaults=True):
    """The generator's baseline at one rate, against a server that does nothing.

    Attributes:
        achieved: Successful responses in the window ÷ planned requests.
        duration_ms: ``p50``, ``p95``, ``p99``, as `dispatch_delay_ms`; empty without any success.
        cpu_us_per_request: CPU of all workers, None when nothing was sent.
        spacing: None when too few requests arrived, or gaps could not be paired with planned ones.
    """

    target_rps: PerSecond
    achieved: float
    duration_ms: Mapping[str, float]
    dispatch_delay_ms: Mapping[str, float]
    cpu_us_per_request: float | None
    spacing: Spacing | None


class Calibration(Struct, frozen=True, omit_defaults=True):
    """The generator's own error on this host, for one way of offering load.

    Attributes:
        made_at: UTC, ISO 8601 with seconds.
        floors: One per rate, ascending.
        ceiling_rps: Requests per second that reached the no-op server when more were due; None for an
            engine whose ceiling is not measured (k6).
    """

    made_at: str
    connection: str
    workers: int
    floors: tuple[Floor, ...]
    ceiling_rps: PerSecond | None
    engine: str = "builtin"
