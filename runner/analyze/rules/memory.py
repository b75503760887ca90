"""The rule for memory that ran out."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, UnsetType

from runner.analyze.kernel_counters import counter_evidence, counters, is_local
from runner.analyze.rules.parts import title, word
from runner.analyze.rules.types import Judgement, Match, Rule
from runner.core.codes import Cause, Confidence, Limit, StageStatus, is_service
from runner.core.findings import Evidence, Finding, RuledOut
from runner.core.observed_results import CounterReading, StageEvent
from runner.core.stage_results import Stage
from runner.core.units import BYTES_PER_MIB

_FULL: Final = 0.95
_KILLER: Final = "Linux: OOM killer"
_HOST: Final = "host"
_ON_HOST: Final = (
    "the kernel killed a process somewhere on the host for lack of memory; it may be another program's"
)
_ON_HOST_ADVICE: Final = "read the kernel's log (dmesg) to see which process was killed"
_ADVICE: Final = "raise topology.app.memory, or look for a memory leak"


def _judge(stage: Stage, cores: int | None) -> Judgement:
    """Match if the kernel killed a process because memory ran out, or if a container stays at its limit."""
    del cores
    events = _events(stage)
    kills = [counter for counter in counters(stage, "memory.oom_kills") if counter.delta]
    if not events and not kills:
        return _at_limit(stage)
    name = "processes killed for lack of memory"
    evidence = tuple(
        counter_evidence(counter, f"{name} ({counter.scope})", threshold=1, source=_KILLER)
        for counter in kills
    )
    survived = stage.status is not StageStatus.FAILED
    if survived and not events and all(counter.scope == _HOST for counter in kills):
        return Match(Finding(Limit.MEMORY, Confidence.HINT, _ON_HOST, evidence, _ON_HOST_ADVICE))
    return Match(
        Finding(
            Limit.MEMORY,
            Confidence.PROVEN,
            events[0].message if events else "the kernel killed a process for lack of memory",
            evidence or (Evidence(name, len(events), "count", 1, _KILLER),),
            *_advice(stage, next((counter.scope for counter in kills if counter.scope != _HOST), "")),
        )
    )


def _events(stage: Stage) -> list[StageEvent]:
    return [event for event in stage.events if event.code == "out-of-memory"]


def _at_limit(stage: Stage) -> Judgement:
    hits = {counter.scope: counter for counter in counters(stage, "memory.limit_hits") if counter.delta}
    full = {counter.scope: counter for counter in counters(stage, "memory.usage_bytes") if _is_full(counter)}
    scope = min(hits.keys() & full.keys(), default=None)
    if scope is None:
        known = is_local(stage) and any(counters(stage, "memory.oom_kills"))
        return RuledOut(Limit.MEMORY, "no process was killed for lack of memory") if known else None
    used, limit = ((value or 0) / BYTES_PER_MIB for value in (full[scope].peak, full[scope].limit))
    return Match(
        Finding(
            Limit.MEMORY,
            Confidence.LIKELY,
            f"{title(stage, scope)} stayed at its memory limit and reached it "
            f"{hits[scope].delta or 0:,.0f} times",
            (
                counter_evidence(hits[scope], f"memory limit hits ({scope})"),
                Evidence(f"memory of {scope}", used, "MiB", limit, "its own limit"),
            ),
            *_advice(stage, scope),
        )
    )


def _advice(stage: Stage, scope: str) -> tuple[str, str | UnsetType]:
    """Return what to do about the memory of a subject, and the service that it belongs to."""
    subject = stage.cpu_cores_by_subject.get(scope)
    if subject is None or not is_service(subject.role):
        return _ADVICE, UNSET
    return f"raise the memory limit of {subject.role}, or let it keep less in memory", word(subject.role)


def _is_full(counter: CounterReading) -> bool:
    return bool(counter.limit) and (counter.peak or 0) >= _FULL * (counter.limit or 0)


MEMORY: Final = Rule(
    Limit.MEMORY,
    _judge,
    caused_by=frozenset({Cause.MEMORY_LIMIT, Cause.SERVICE_MEMORY}),
    of_whole=lambda stage: any(event.node is UNSET for event in _events(stage)),
    on_generators=True,
)
