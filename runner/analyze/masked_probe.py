"""Whether a probe that failed shows that the service cannot sustain its rate, or something hides the service.

A search takes the lowest rate that failed as the bound of the capacity. Where the generator or other programs
are why it failed, the service may sustain more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from runner.analyze.reason import text_of
from runner.analyze.rules.connections import NO_PORT
from runner.core.codes import Confidence, DoubtCode, Limit, Mask, RateUnit, Validity
from runner.core.stage_results import Stage
from runner.experiment.stage import rate_name

_UNKNOWN: Final = frozenset({Limit.WITHIN_CAPACITY, Limit.UNDETERMINED})
_SHARED: Final = _UNKNOWN | {Limit.HOST_CPU, Limit.APP_CONCURRENCY}
"""Verdicts that other programs on the host may have caused: an app that gets no CPU seems to wait."""
_GENERATOR_DOUBTS: Final = (
    DoubtCode.GENERATOR_SATURATED,
    DoubtCode.GENERATOR_WITHOUT_CPU,
    DoubtCode.GENERATOR_LATE,
)
_GENERATOR_FAULTS: Final = frozenset(
    {
        DoubtCode.GENERATOR_LOST,
        DoubtCode.WORKER_LOST,
        DoubtCode.SENT_TOO_LATE,
        DoubtCode.NO_FILE_DESCRIPTOR,
        DoubtCode.NOT_AS_PLANNED,
    }
)
_CAUSES: Final = {
    Mask.GENERATOR: "because of the load generator",
    Mask.PORTS: "because the generator's machine had no free local port",
    Mask.PROGRAMS: "beside other programs that used the CPU",
    Mask.INVALID: "in a probe that is invalid",
}


def mask(stage: Stage) -> Mask | None:
    """Return why a failed probe says nothing about the service; None if it does.

    A probe about which there is a doubt counts where its verdict names a limit of the service all the same.
    """
    codes = {doubt.code for doubt in stage.validity.doubts}
    if stage.validity.status is Validity.INVALID:
        if DoubtCode.SYSTEM_FAILED in codes:
            return None
        is_generator = stage.verdict.code is Limit.GENERATOR or codes & _GENERATOR_FAULTS
        return Mask.GENERATOR if is_generator else Mask.INVALID
    if _without_port(stage) > NO_PORT * stage.requests.scheduled:
        return Mask.PORTS
    if DoubtCode.DISTURBED in codes and _may_be_shared(stage):
        return Mask.PROGRAMS
    doubted = codes.intersection(_GENERATOR_DOUBTS) and stage.verdict.code in _UNKNOWN
    return Mask.GENERATOR if doubted or stage.verdict.code is Limit.GENERATOR else None


def _may_be_shared(stage: Stage) -> bool:
    """Return whether other programs on the host may be why a probe failed beside them."""
    is_proven = stage.verdict.confidence is Confidence.PROVEN and stage.verdict.code is Limit.APP_CONCURRENCY
    return stage.verdict.code in _SHARED and not is_proven


def _without_port(stage: Stage) -> int:
    return stage.requests.failures.get("no_port", 0)


def doubts_of(stage: Stage, hidden_by: Mask | None) -> Iterator[str]:
    """Yield what hides the service in a probe that is not invalid, with its figures."""
    match hidden_by:
        case Mask.PORTS:
            yield f"{_without_port(stage):,} requests found no free local port"
        case Mask.PROGRAMS:
            yield text_of(stage.validity, DoubtCode.DISTURBED)
        case Mask.GENERATOR:
            yield from filter(None, (text_of(stage.validity, code) for code in _GENERATOR_DOUBTS))


def masked_sentence(hidden_by: Mask, rate: float, unit: RateUnit) -> str:
    """Return that a rate says nothing about the service, and why."""
    failed = f"{rate_name(rate, unit)} failed {_CAUSES[hidden_by]}"
    return f"{failed}, so the service may sustain more; its capacity is unknown."
