"""Turns the workers' messages about scenarios into facts: every user and every request ends in one count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from runner.core.load_facts import UNFINISHED, Backlog, LoadSecond, PartFacts, ScenarioFacts
from runner.experiment.traffic import Load
from runner.load.messages import WireBacklog
from runner.load.worker_accounts import Account, merged_backlog
from runner.load.worker_losses import ended_unknown, with_unknown, without_end

_Seconds = list[LoadSecond]
_End = Callable[[Sequence[LoadSecond], int], _Seconds]


@dataclass(frozen=True, slots=True)
class ScenarioCounts:
    """A stage of scenarios, with what dead workers lost.

    Attributes:
        planned: Requests that came due.
        seconds: With the corrected counts.
        parts: Name of a step to what is known of its requests.
        scenarios: Name of a scenario to what is known of its users.
        backlog: Of the durations of all scenarios; None in the closed model.
    """

    planned: int
    seconds: tuple[LoadSecond, ...]
    parts: dict[str, PartFacts]
    scenarios: dict[str, ScenarioFacts]
    backlog: Backlog | None


def scenario_counts(
    load: Load, accounts: Sequence[Account], seconds: Sequence[LoadSecond], *, is_open: bool
) -> ScenarioCounts:
    """Return the counts of a stage. What dead workers lost counts as dropped.

    Args:
        load: With the scenarios.
        accounts: Of all workers.
        seconds: As the workers reported them.
        is_open: Whether users begin on a schedule.
    """
    dead = [account for account in accounts if account.end is None]
    if dead:
        seconds = _corrected(seconds, load, with_unknown)
    if dead and is_open:
        seconds = _with_unsent(seconds, dead, load.scenario_shares)
    ends = [account.end for account in accounts if account.end and account.end.backlog]
    backlogs = [
        [end.backlog[index] for end in ends] if is_open else [] for index in range(len(load.scenarios))
    ]
    return _counts(load, seconds, backlogs)


def interrupted_counts(load: Load, seconds: Sequence[LoadSecond]) -> ScenarioCounts:
    """Return the counts of a stage that was cut short, after which users who are under way are unfinished.

    Args:
        load: With the scenarios.
        seconds: As the workers reported them.
    """
    return _counts(load, _corrected(seconds, load, _unfinished), [[] for _ in load.scenarios])


def _counts(
    load: Load, seconds: Sequence[LoadSecond], backlogs: Sequence[Sequence[WireBacklog]]
) -> ScenarioCounts:
    planned = sum(second.scheduled for second in seconds)
    shares = load.scenario_shares.items()
    return ScenarioCounts(
        planned,
        tuple(seconds),
        {part.name: _part(seconds, part.name, planned) for part in load.parts},
        {
            name: ScenarioFacts(
                planned=sum(one.scheduled for one in of_scenario(seconds, name)),
                share=share,
                steps=tuple(part.name for part in load.parts if part.name.startswith(f"{name}/")),
                backlog=merged_backlog(reported),
            )
            for (name, share), reported in zip(shares, backlogs, strict=True)
        },
        merged_backlog([one for reported in backlogs for one in reported]),
    )


def _part(seconds: Sequence[LoadSecond], name: str, planned: int) -> PartFacts:
    scheduled = sum(second.parts[name].scheduled for second in seconds if name in second.parts)
    return PartFacts(planned=scheduled, share=scheduled / planned if planned else 0.0)


def of_scenario(seconds: Sequence[LoadSecond], name: str) -> _Seconds:
    """Return what belongs to the users of a scenario in each second."""
    return [one.scenarios.get(name, LoadSecond(one.index)) for one in seconds]


def _corrected(seconds: Sequence[LoadSecond], load: Load, end_users: _End) -> _Seconds:
    """Count requests as dropped that were sent and whose end is unknown, and give users an end."""
    corrected = ended_unknown(seconds, [part.name for part in load.parts])
    for name in load.scenario_shares:
        known = of_scenario(corrected, name)
        own = end_users(known, without_end(known))
        corrected = [
            replace(one, scenarios={**one.scenarios, name: users})
            for one, users in zip(corrected, own, strict=True)
        ]
    return corrected


def _unfinished(seconds: Sequence[LoadSecond], unknown: int) -> _Seconds:
    """Count users as unfinished in the last second."""
    if not seconds or not unknown:
        return list(seconds)
    *earlier, last = seconds
    failures = {**last.failures, UNFINISHED: last.failures.get(UNFINISHED, 0) + unknown}
    return [*earlier, replace(last, failures=failures)]


def _with_unsent(
    seconds: Sequence[LoadSecond], dead: Sequence[Account], shares: dict[str, float]
) -> _Seconds:
    """Count users as dropped, in the last second, who would have come due in workers that were dead.

    With them, each scenario has its share of all users. A worker's own users need not have these shares.
    """
    unsent = sum(max(0, account.planned - account.users_scheduled) for account in dead)
    *earlier, last = seconds or [LoadSecond(0)]
    scenarios = dict(last.scenarios)
    due = {name: sum(one.scheduled for one in of_scenario(seconds, name)) for name in shares}
    total = sum(due.values()) + unsent
    missing = {name: max(0.0, total * share - due[name]) for name, share in shares.items()}
    part = unsent / (sum(missing.values()) or 1)
    before = 0.0
    for name in shares:
        count = round(before + part * missing[name]) - round(before)
        before += part * missing[name]
        users = scenarios.get(name, LoadSecond(last.index))
        scenarios[name] = replace(users, scheduled=users.scheduled + count, dropped=users.dropped + count)
    return [*earlier, replace(last, scenarios=scenarios)]
