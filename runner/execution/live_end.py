"""The record of a trial that has ended, with the numbers that its report will have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from runner.analyze.latency import latency
from runner.analyze.measured import offer_of, requests_of
from runner.analyze.runs import all_runs, only, run_fields
from runner.analyze.scenarios import step_facts
from runner.core.codes import Unbounded
from runner.core.facts import TrialFacts
from runner.core.live import MAX_NOTES, TrialEnds, shortened
from runner.core.live_ends import P95, LatencyName, NoValue, PartEnds, ScenariosEnd
from runner.core.load_facts import LoadFacts, LoadSecond
from runner.core.measured import Requests
from runner.core.units import PerSecond, Seconds

MAX_PARTS: Final = 40
"""A mix of more requests is shown as a whole only."""
_MAX_NAMES: Final = 8000
"""Characters in the names of all parts: a record has to fit into a line."""
_WHY_NONE: Final[Mapping[Unbounded, NoValue]] = {Unbounded.LOST: "lost", Unbounded.OUT_OF_RANGE: "range"}
_AT_S_DIGITS: Final = 3


def trial_end(facts: TrialFacts, at_s: Seconds) -> TrialEnds:
    """Return the record of the end of a trial.

    Args:
        facts: As they are in the journal.
        at_s: Unix time.
    """
    at_s, number, notes, events = round(at_s, _AT_S_DIGITS), facts.order + 1, _notes(facts), _events(facts)
    load = facts.load
    if load is None:
        return TrialEnds(at_s=at_s, number=number, status=facts.status, notes=notes, events=events)
    requests, window_s = requests_of(load.seconds), offer_of(facts).window_s
    return TrialEnds(
        at_s=at_s,
        number=number,
        status=facts.status,
        succeeded=requests.succeeded,
        failed=requests.lost,
        rps=_rps(load.seconds, window_s),
        p95=_p95_of_requests(load, facts),
        notes=notes,
        failures=_failures(requests),
        parts=_parts(load, facts, window_s),
        scenarios=_scenarios(load, facts, window_s),
        events=events,
    )


def _rps(seconds: Iterable[LoadSecond], window_s: Seconds) -> PerSecond | None:
    """Return the responses completed in the window by its seconds; None where it did not begin."""
    completed = [second.completed for second in seconds if 0 <= second.index < window_s]
    return round(sum(completed) / window_s, 4) if completed and window_s else None


def _p95_of_requests(load: LoadFacts, facts: TrialFacts) -> P95:
    """Return the percentile of the response time; of the duration where there is no such time."""
    has_schedule = facts.users is None
    states_response_time = load.stated_ms is None or bool(load.stated_ms.get("response_time"))
    return _p95(load, "response_time" if has_schedule and states_response_time else "duration", facts)


def _p95(load: LoadFacts, name: LatencyName, facts: TrialFacts) -> P95:
    """Return a percentile, or why it has no value; runs of scenarios are given in units of requests."""
    if offer_of(facts).level_ramp is not None and load.stated_ms is None:
        return P95(name, why_none="slices")
    found = latency(load, "response_time" if name == "scenario_duration" else name)
    why = found.why_unbounded("p95")
    return P95(name, found.p95, _WHY_NONE[why] if why else None)


def _failures(requests: Requests) -> dict[str, int]:
    return dict(requests.failures) | ({"dropped": requests.dropped} if requests.dropped else {})


def _parts(load: LoadFacts, facts: TrialFacts, window_s: Seconds) -> dict[str, PartEnds]:
    """Return each request of a mix; none where there are too many to show."""
    if len(load.parts) > MAX_PARTS or sum(map(len, load.parts)) > _MAX_NAMES:
        return {}
    return {name: _part(_facts_of_part(load, name), facts, window_s) for name in load.parts}


def _facts_of_part(load: LoadFacts, name: str) -> LoadFacts:
    if load.scenarios:
        return step_facts(load, name)
    part = load.parts[name]
    seconds = tuple(second.parts.get(name, LoadSecond(second.index)) for second in load.seconds)
    return only(load, part.planned, seconds, stated_ms=part.stated_ms)


def _part(part: LoadFacts, facts: TrialFacts, window_s: Seconds) -> PartEnds:
    requests = requests_of(part.seconds)
    return PartEnds(
        succeeded=requests.succeeded,
        failures=_failures(requests),
        rps=_rps(part.seconds, window_s),
        p95=_p95_of_requests(part, facts),
    )


def _scenarios(load: LoadFacts, facts: TrialFacts, window_s: Seconds) -> ScenariosEnd | None:
    runs = all_runs(load)
    if runs is None or not window_s:
        return None
    fields = run_fields(runs, window_s)
    scenarios = fields["scenarios"]
    return ScenariosEnd(
        completed=scenarios.completed,
        lost=scenarios.lost,
        per_s=fields["scenarios_per_s"],
        p95=_p95(runs, "scenario_duration", facts),
    )


def _events(facts: TrialFacts) -> tuple[str, ...]:
    lost = facts.load.lost_workers if facts.load else ()
    return tuple(map(shortened, [*(event.message for event in facts.events), *lost][:MAX_NOTES]))


def _notes(facts: TrialFacts) -> tuple[str, ...]:
    load, observed = facts.load, facts.observed
    notes = [
        *_events(facts),
        *(load.notes if load else ()),
        *(observed.notes if observed else ()),
    ]
    return tuple(map(shortened, notes[:MAX_NOTES]))
