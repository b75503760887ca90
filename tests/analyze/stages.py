"""A stage made by hand, for tests of the rules."""

from __future__ import annotations

from msgspec.structs import replace

from runner.core.codes import Confidence, Limit, StageStatus, Validity
from runner.core.judgements import StageValidity
from runner.core.measured import Latency, Requests
from runner.core.stage_results import Stage, Verdict

NOTHING = Stage(
    name="1,000 RPS",
    engine="builtin",
    target_rps=1000.0,
    window_s=5.0,
    warmup_s=0.0,
    timeout_s=0.0,
    repeat=1,
    order=0,
    status=StageStatus.COMPLETE,
    replicas=1,
    events=(),
    requests=Requests(scheduled=0, sent=0, succeeded=0, failed=0, dropped=0, failures={}),
    actual_rps=None,
    achieved=None,
    duration_ms=Latency(),
    response_time_ms=Latency(),
    connect_ms=Latency(),
    tls_ms=Latency(),
    dispatch_delay_ms=Latency(),
    first_byte_ms=Latency(),
    distribution=None,
    cpu_cores={},
    cpu_cores_by_subject={},
    throttling_by_subject={},
    requests_by_subject={},
    cpu_us_per_request={},
    memory_mib={},
    counters=(),
    unreadable=(),
    timeseries=(),
    clock=None,
    calibration=None,
    workers=None,
    notes=(),
    thresholds=(),
    validity=StageValidity(Validity.VALID, ()),
    verdict=Verdict(Limit.UNDETERMINED, Confidence.HINT, ()),
)
"""A complete and valid stage without measurements."""


def stage(**changes: object) -> Stage:
    """Return `NOTHING` with some changes."""
    return replace(NOTHING, **changes)


def valid(status: str = "valid", *reasons: str) -> StageValidity:
    """Return a validity by its status."""
    return StageValidity(Validity(status), reasons)


def likely(code: str, **changes: object) -> Verdict:
    """Return a likely verdict by its code."""
    return Verdict(Limit(code), Confidence.LIKELY, (), **changes)
