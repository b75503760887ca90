"""Turns the workers' messages about scenarios into facts: every user and every request ends in one count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from runner.core.load_facts import Backlog, LoadSecond, PartFacts, ScenarioFacts
from runner.experiment.traffic import Load
from runner.load.worker_accounts import Account, merged_backlog, with_unknown

_Seconds = list[LoadSecond]


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
    """Return the counts of a stage.

    Args:
        load: With the scenarios.
        accounts: Of all workers.
        seconds: As the workers reported them.
        is_open: Whether users begin on a schedule.
    """
    dead = [account for account in accounts if account.end is None]
    shares = load.scenario_shares
    corrected = (
        _with_lost(seconds, dead, tuple(shares), tuple(part.name for part in load.parts)) if dead else seconds
    )
    corrected = _with_unsent(corrected, dead, shares) if dead and is_open else corrected
    planned = sum(second.scheduled for second in corrected)
    backlogs = [
        [end.backlog[index] for account in accounts if (end := account.end) and end.backlog]
        if is_open
        else []
        for index in range(len(shares))
    ]
    return ScenarioCounts(
        planned,
        tuple(corrected),
        {part.name: _part(corrected, part.name, planned) for part in load.parts},
        {
            name: ScenarioFacts(
                planned=sum(
                    second.scenarios[name].scheduled for second in corrected if name in second.scenarios
                ),
                share=share,
                steps=tuple(part.name for part in load.parts if part.name.startswith(f"{name}/")),
                backlog=merged_backlog(reported),
            )
            for (name, share), reported in zip(shares.items(), backlogs, strict=True)
        },
        merged_backlog([one for reported in backlogs for one in reported]),
    )


def _part(seconds: Sequence[LoadSecond], name: str, planned: int) -> PartFacts:
    scheduled = sum(second.parts[name].scheduled for second in seconds if name in second.parts)
    return PartFacts(planned=scheduled, share=scheduled / planned if planned else 0.0)


def _with_lost(
    seconds: Sequence[LoadSecond], dead: Sequence[Account], scenarios: Sequence[str], parts: Sequence[str]
) -> _Seconds:
    """Count as dropped what was under way when workers died: it was sent, and its end is unknown."""
    corrected = with_unknown(seconds, sum(account.scheduled - account.ended for account in dead))
    for name in parts:
        own = with_unknown(
            known := [one.parts.get(name, LoadSecond(one.index)) for one in corrected], _open(known)
        )
        corrected = [
            replace(one, parts={**one.parts, name: part}) for one, part in zip(corrected, own, strict=True)
        ]
    for name in scenarios:
        known = [one.scenarios.get(name, LoadSecond(one.index)) for one in corrected]
        own = with_unknown(known, _open(known))
        corrected = [
            replace(one, scenarios={**one.scenarios, name: users})
            for one, users in zip(corrected, own, strict=True)
        ]
    return corrected


def _open(seconds: Sequence[LoadSecond]) -> int:
    """Return how much was sent and did not end."""
    return sum(one.sent - one.succeeded - sum(one.failures.values()) for one in seconds)


def _with_unsent(
    seconds: Sequence[LoadSecond], dead: Sequence[Account], shares: dict[str, float]
) -> _Seconds:
    """Count users as dropped, in the last second, who would have come due in workers that were dead."""
    unsent = sum(max(0, account.planned - account.users_scheduled) for account in dead)
    *earlier, last = seconds or [LoadSecond(0)]
    scenarios = dict(last.scenarios)
    before = 0.0
    for name, share in shares.items():
        count = round(unsent * (before + share)) - round(unsent * before)
        before += share
        users = scenarios.get(name, LoadSecond(last.index))
        scenarios[name] = replace(users, scheduled=users.scheduled + count, dropped=users.dropped + count)
    return [*earlier, replace(last, scenarios=scenarios)]
