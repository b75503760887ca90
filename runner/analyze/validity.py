"""May a stage be believed at all? Asked before anything is concluded from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from runner.analyze.kernel_counters import rise
from runner.core.facts import LoadFacts, TrialFacts
from runner.core.units import percent

GENERATOR_SATURATED: Final = 0.8
"""Share of its cores from which a generator distorts what it measures (k6 docs, "Running large tests")."""

LATENESS_SHARE: Final = 0.05
"""Share of response time's p95 that the generator's own lateness may explain."""

LATENESS_FLOOR_MS: Final = 0.5
"""Lateness below this is the kernel waking a process, which every client has; it makes no stage suspect."""

LEDGER_SLACK: Final = 0.03
"""How much more than the host's total the roles may add up to before their counters are doubted."""

STOLEN_SHOWN: Final = 0.01
"""Cores taken by a hypervisor from which that explains why counters disagree."""


@dataclass(frozen=True, slots=True)
class Validity:
    """``valid``, ``suspect`` or ``invalid``, and why, in sentences without a full stop."""

    status: str
    reasons: tuple[str, ...] = ()


def validity(facts: TrialFacts, stage: Mapping[str, Any], *, when_full: str) -> Validity:
    """Judge one trial.

    Args:
        facts: What happened.
        stage: The stage's numbers, as in results.json.
        when_full: What becomes of requests that find no free slot.
    """
    invalid = [*_broken(facts), *_unsent(facts.load, stage)]
    if invalid:
        return Validity("invalid", tuple(invalid))
    suspect = [
        *_saturated(facts.load, stage),
        *_late(facts.load, stage, when_full),
        *_overdrawn(stage),
        *_cut(facts),
    ]
    return Validity("suspect" if suspect else "valid", tuple(suspect))


def _broken(facts: TrialFacts) -> list[str]:
    if facts.status != "failed":
        return []
    return [event.message for event in facts.events] or ["the system under test failed"]


def _cut(facts: TrialFacts) -> list[str]:
    return (
        ["the stage was cut short, so it stands for less than was planned"]
        if facts.status == "aborted"
        else []
    )


def _unsent(load: LoadFacts | None, stage: Mapping[str, Any]) -> list[str]:
    """Requests that our own side could not send, or that are missing from the counts."""
    if load is None:
        return []
    found = list(load.lost_workers)
    requests = stage["requests"]
    if no_fd := requests["failures"].get("no_fd", 0):
        found.append(f"{no_fd:,} requests found no free file descriptor in the generator")
    if load.complete and load.engine == "builtin" and requests["scheduled"] != load.planned:
        found.append(f"{requests['scheduled']:,} requests were counted where {load.planned:,} were planned")
    failed = sum(requests["failures"].values())
    if requests["sent"] != requests["succeeded"] + failed and load.complete:
        found.append("the counts of requests do not add up")
    return found


def _saturated(load: LoadFacts | None, stage: Mapping[str, Any]) -> list[str]:
    usage = stage["cpu_cores"].get("generator")
    if load is None or usage is None or not load.workers or load.engine != "builtin":
        return []
    share = usage["avg"] / load.workers
    if share < GENERATOR_SATURATED:
        return []
    reason = (
        f"the generator used {percent(share)} of its {load.workers} core{'s'[: load.workers != 1]}, "
        f"and from {percent(GENERATOR_SATURATED)} on it may itself be the limit"
    )
    return [reason]


def _overdrawn(stage: Mapping[str, Any]) -> list[str]:
    """Roles that together used more CPU than the whole host cannot all be right."""
    cores = {role: usage["avg"] for role, usage in stage["cpu_cores"].items() if usage}
    system = cores.get("system")
    known = sum(used for role, used in cores.items() if role not in {"system", "other"})
    if system is None or known <= system * (1 + LEDGER_SLACK) + 0.01:
        return []
    reason = f"the parts used {known:.2f} cores and the whole host {system:.2f}: the CPU figures are doubtful"
    stolen = rise(stage, "cpu.steal_s", "host") / stage["window_s"]
    if stolen >= STOLEN_SHOWN:
        reason += (
            f" (a hypervisor took {stolen:.2f} cores meanwhile, which the clocks of processes may count, "
            "and the host's does not)"
        )
    return [reason]


def _late(load: LoadFacts | None, stage: Mapping[str, Any], when_full: str) -> list[str]:
    """Lateness that is ours. Where requests queue for a slot, the wait belongs to the system under test."""
    response = stage["response_time_ms"]["p95"]
    delay = stage["dispatch_delay_ms"]["p95"]
    if load is None or not response or delay is None:
        return []
    waited = when_full == "queue" and response > 2 * delay
    if waited or delay < LATENESS_FLOOR_MS or delay <= LATENESS_SHARE * response:
        return []
    reason = (
        f"the generator was {delay:.2f} ms late at p95, which is {percent(delay / response)} of the "
        f"response time's p95 of {response:.2f} ms"
    )
    return [reason]
