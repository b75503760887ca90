"""What was measured of scenarios: the runs of all of them, and each scenario with its steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from msgspec.structs import asdict, replace

from runner.analyze.achieved import achieved
from runner.analyze.measured import Offer, measured
from runner.analyze.runs import all_runs, only, run_fields, runs_of
from runner.analyze.samples import shown_samples
from runner.analyze.slices import slices
from runner.analyze.statistics import rounded
from runner.analyze.waiting import waiting
from runner.core import histogram
from runner.core.load_facts import LoadFacts, LoadSecond
from runner.core.measured import Measured, Part


def with_runs(whole: Measured, load: LoadFacts | None, offer: Offer) -> Measured:
    """Return what was measured of a stage, with the runs of all its scenarios if it has any."""
    runs = all_runs(load)
    if load is None or runs is None:
        return whole
    return replace(whole, achieved=_achieved_by_all(load, offer), **run_fields(runs, offer.window_s))


def _achieved_by_all(load: LoadFacts, offer: Offer) -> float | None:
    """Return the share of all runs due that was sustained; None in the closed model."""
    shares = [(_achieved(load, name, offer), own.planned) for name, own in load.scenarios.items()]
    known = [(share, planned) for share, planned in shares if share is not None]
    planned = sum(number for _, number in known)
    return rounded(sum(share * number for share, number in known) / planned, 6) if planned else None


def _achieved(load: LoadFacts, name: str, offer: Offer) -> float | None:
    """Return the share of a scenario's runs that was sustained.

    It is None in the closed model, and of a stage that was cut short: its users could not come to their end.
    """
    rate = offer.user_rate
    if rate is None or not load.complete:
        return None
    share = load.scenarios[name].share
    waits = waiting(load, name, offer.window_s)
    lengths = (offer.window_s, offer.warmup_s)
    runs = _waiting_for_responses(load, name, share)
    return rounded(achieved(runs, rate * share, *lengths, offer.level_ramp, runs=waits), 6)


def _waiting_for_responses(load: LoadFacts, name: str, share: float) -> LoadFacts:
    """Return the runs of a scenario, with its share of the users who wait as those in flight."""
    runs = runs_of(load, name)
    seconds = tuple(
        replace(run, in_flight=round(second.in_flight * share))
        for run, second in zip(runs.seconds, load.seconds, strict=True)
    )
    return replace(runs, seconds=seconds)


def scenario_parts(load: LoadFacts, offer: Offer) -> Iterator[tuple[str, Part]]:
    """Yield each scenario, followed by its steps in order, by their names in results."""
    for name, own in load.scenarios.items():
        steps = {step: step_facts(load, step) for step in own.steps}
        yield name, _scenario(load, name, list(steps.values()), offer)
        yield from _steps(name, steps, offer)


def _scenario(load: LoadFacts, name: str, steps: Sequence[LoadFacts], offer: Offer) -> Part:
    """Return all requests of a scenario, and its runs."""
    requests = only(
        load, sum(step.planned for step in steps), tuple(chain.from_iterable(step.seconds for step in steps))
    )
    runs = runs_of(load, name)
    rate = offer.user_rate
    values = asdict(measured(requests, offer)) | run_fields(runs, offer.window_s)
    return Part(
        **(values | {"achieved": _achieved(load, name, offer)}),
        target_rps=None,
        samples=shown_samples(requests.seconds),
        slices=slices(requests, offer.level_ramp, offer.window_s, runs),
        users_per_s=None if rate is None else rounded(rate * load.scenarios[name].share, 6),
    )


def _steps(scenario: str, steps: Mapping[str, LoadFacts], offer: Offer) -> Iterator[tuple[str, Part]]:
    took_ns = {name: _time_ns(step) for name, step in steps.items()}
    total_ns = sum(took_ns.values())
    for name, step in steps.items():
        values = measured(step, offer)
        yield (
            name,
            Part(
                **asdict(values),
                target_rps=None,
                samples=shown_samples(step.seconds),
                slices=slices(step, offer.level_ramp, offer.window_s),
                scenario=scenario,
                time_share=round(took_ns[name] / total_ns, 6) if total_ns else None,
                ended_users=values.requests.lost,
            ),
        )


def step_facts(load: LoadFacts, step: str) -> LoadFacts:
    """Return the requests of a step as facts of a load."""
    seconds = tuple(second.parts.get(step, LoadSecond(second.index)) for second in load.seconds)
    known = load.parts.get(step)
    return only(load, known.planned if known else 0, seconds)


def _time_ns(step: LoadFacts) -> int:
    """Return how long all successful requests of a step took together, in nanoseconds."""
    return histogram.merge(second.duration for second in step.seconds).total_ns
