"""The rule for memory that ran out."""

from __future__ import annotations

from collections.abc import Collection
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
    full = {scope: size for scope, size in _sizes(stage).items() if _is_full(size)}
    scope = min(hits.keys() & full.keys(), default=None)
    if scope is None:
        known = is_local(stage) and any(counters(stage, "memory.oom_kills"))
        return RuledOut(Limit.MEMORY, _why_not(stage, hits)) if known else None
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


def _sizes(stage: Stage) -> dict[str, CounterReading]:
    """Return the memory of each control group: its working set, of results without it all of its memory."""
    names = ("memory.usage_bytes", "memory.working_set_bytes")
    return {counter.scope: counter for name in names for counter in counters(stage, name)}


def _why_not(stage: Stage, hits: Collection[str]) -> str:
    """Return that nothing was killed, and whose memory was full of files that it did not need again."""
    why, sizes = "no process was killed for lack of memory", _sizes(stage)
    cached = min((scope for scope in hits if scope in sizes and sizes[scope].limit), default=None)
    if cached is None:
        return why
    used, limit = ((value or 0) / BYTES_PER_MIB for value in (sizes[cached].peak, sizes[cached].limit))
    return (
        f"{why}; {title(stage, cached)} reached its memory limit with pages of files, and needed at most "
        f"{used:,.0f} of {limit:,.0f} MiB"
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
