"""What limits a stage: one small rule a limit, tried in order of how sure it can be.

*Proven* needs a counter that cannot rise for another reason, or a counter-experiment; what
these rules read is CPU and counts, so they say *likely* at most about a limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from runner.analyze.thresholds import errors

ACHIEVED: Final = 0.99
TOLERATED_ERRORS: Final = 0.01
ONE_CORE: Final = 0.95
THROTTLED: Final = 0.25
HOST_FULL: Final = 0.95
"""Host CPU above which there is none left to give (netdata's critical alarm)."""

Stage = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A number that speaks for a finding.

    Attributes:
        name: What was measured.
        value: In `unit`.
        unit: Such as ``cores`` or ``%``.
        threshold: From where on it counts; None when there is no such bound.
        source: Where the threshold comes from.
    """

    name: str
    value: float
    unit: str
    threshold: float | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A statement with its evidence and what to do about it."""

    code: str
    confidence: str
    summary: str
    evidence: tuple[Evidence, ...]
    advice: str


def verdict(stage: Stage, validity: str, cores: int | None) -> dict[str, Any]:
    """The first finding names the limit; the rest is what else was found.

    Args:
        stage: The stage's numbers, as in results.json.
        validity: Whether they may be believed.
        cores: How many cores the host has, None when unknown.
    """
    findings = [finding for rule in _RULES if (finding := rule(stage, validity, cores)) is not None]
    findings = findings or [_undetermined(stage)]
    chief = findings[0]
    return {
        "code": chief.code,
        "confidence": chief.confidence,
        "findings": [_as_json(finding) for finding in findings],
    }


def _as_json(finding: Finding) -> dict[str, Any]:
    return asdict(finding) | {"evidence": [asdict(item) for item in finding.evidence]}


def _generator(stage: Stage, validity: str, cores: int | None) -> Finding | None:
    del cores
    if validity != "invalid" or stage["status"] == "failed":
        return None
    usage = stage["cpu_cores"].get("generator")
    evidence = (Evidence("generator CPU", usage["avg"], "cores"),) if usage else ()
    return Finding(
        "generator-limited",
        "proven",
        "the load generator could not send its schedule, so the stage says nothing about the service",
        evidence,
        "give the generator more cores, workers, ports or files, then run the stage again",
    )


def _within(stage: Stage, validity: str, cores: int | None) -> Finding | None:
    del cores
    achieved, lost = stage["achieved"], errors(stage)
    if validity == "invalid" or achieved is None or lost is None:
        return None
    if achieved < ACHIEVED or lost >= TOLERATED_ERRORS:
        return None
    return Finding(
        "within-capacity",
        "proven",
        "the service answered what it was asked",
        (
            Evidence("achieved", achieved * 100, "%", ACHIEVED * 100, "Loadproof's own bound"),
            Evidence("failed or dropped", lost * 100, "%", TOLERATED_ERRORS * 100, "Loadproof's own bound"),
        ),
        "offer more to find the limit",
    )


def _errors(stage: Stage, validity: str, cores: int | None) -> Finding | None:
    del cores
    failures = {
        kind: count
        for kind, count in stage["requests"]["failures"].items()
        if kind in {"bad_status", "bad_body", "protocol", "closed_early", "connect_refused", "reset"}
        and count
    }
    scheduled = stage["requests"]["scheduled"]
    total = sum(failures.values())
    if validity == "invalid" or not scheduled or total < TOLERATED_ERRORS * scheduled:
        return None
    worst = max(failures, key=lambda kind: failures[kind])
    return Finding(
        "error-limited",
        "proven" if total >= 0.5 * scheduled else "likely",
        f"{total:,} of {scheduled:,} requests were refused or answered wrongly, most of them as {worst}",
        tuple(Evidence(kind, count, "requests") for kind, count in sorted(failures.items())),
        "read the service's own log for these requests",
    )


def _host(stage: Stage, validity: str, cores: int | None) -> Finding | None:
    usage = stage["cpu_cores"].get("system")
    if validity == "invalid" or not cores or usage is None or usage["avg"] < HOST_FULL * cores:
        return None
    return Finding(
        "host-cpu-limited",
        "likely",
        f"the host used {usage['avg']:.2f} of its {cores} cores, so nothing on it could go faster",
        (Evidence("host CPU", usage["avg"], "cores", HOST_FULL * cores, "netdata: 95 % is critical"),),
        "run the generator on another machine, or give the host more cores",
    )


def _throttled(stage: Stage, validity: str, cores: int | None) -> Finding | None:
    """A container that used its CPU quota up has to wait, however idle the host is."""
    del cores
    found = {
        name: each["throttled"] / each["periods"]
        for name, each in stage["throttling_by_subject"].items()
        if each["periods"]
    }
    worst = max(found.values(), default=0.0)
    if validity == "invalid" or worst <= THROTTLED:
        return None
    return Finding(
        "app-quota-throttled",
        "likely",
        f"its CPU limit stopped the app in {worst:.0%} of the periods in which it wanted to run",
        tuple(
            Evidence(
                f"{name}, periods throttled",
                share * 100,
                "%",
                THROTTLED * 100,
                "kubernetes-mixin, CPUThrottlingHigh",
            )
            for name, share in sorted(found.items())
        ),
        "raise topology.app.cpus, or add a replica",
    )


def _app(stage: Stage, validity: str, cores: int | None) -> Finding | None:
    """One full core of a single process: an event loop or an interpreter lock has no second one."""
    usage = stage["cpu_cores"].get("app")
    if validity == "invalid" or usage is None or stage.get("replicas", 1) != 1:
        return None
    if not ONE_CORE <= usage["avg"] <= 1.1:
        return None
    room = stage["cpu_cores"].get("system")
    rest = f" while the host used {room['avg']:.2f} of {cores}" if room and cores else ""
    return Finding(
        "app-cpu-limited",
        "likely",
        f"the app used {usage['avg']:.2f} cores{rest}: one core is the most that one busy thread can use",
        (Evidence("app CPU", usage["avg"], "cores", ONE_CORE, "one core of one thread"),),
        "add a replica or a worker process, or make a request cost less CPU",
    )


def _undetermined(stage: Stage) -> Finding:
    achieved = stage["achieved"]
    what = "nothing was measured" if achieved is None else f"{achieved:.1%} of the target was achieved"
    return Finding(
        "undetermined",
        "hint",
        f"{what}, and no counter shows why",
        (),
        "watch more of the system and run again",
    )


_RULES: Final[tuple[Callable[[Stage, str, int | None], Finding | None], ...]] = (
    _generator,
    _within,
    _errors,
    _throttled,
    _app,
    _host,
)
