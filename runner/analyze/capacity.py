"""The capacity that a search found: which probes held, why others did not, and what that says.

A search keeps no state of its own: it is played again from the facts of its probes, so a run
that was cut short, and a report made from its journal, come to the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from runner.analyze.capacity_text import answer, broken, doubt, milliseconds
from runner.analyze.knee import LEAST_POINTS, knee
from runner.analyze.latency import LATENCIES
from runner.analyze.thresholds import evaluate
from runner.core.facts import TrialFacts
from runner.experiment.capacity_search import Search
from runner.experiment.model import Find, Threshold
from runner.experiment.traffic import stage_name
from runner.experiment.trials import Trial, next_probe, search_of

Stage: TypeAlias = dict[str, Any]
StageOf: TypeAlias = Callable[[Trial, TrialFacts], Stage]

KNEE_METHOD: Final = (
    "Kneedle (Satopää, Albrecht, Irwin and Raghavan, 2011), sensitivity 1, on the probes as they are"
)


@dataclass(frozen=True, slots=True)
class Searched:
    """A search as far as its facts go.

    Attributes:
        trial: What was planned.
        search: Where it stands.
        probes: Those that were run, in order.
        stages: Their numbers, each with its ``find``.
        undecided: Why the last probe says neither that its rate holds nor that it does not; empty
            when it does.
    """

    trial: Trial
    search: Search
    probes: tuple[Trial, ...]
    stages: tuple[Stage, ...]
    undecided: str = ""

    @property
    def upcoming(self) -> Trial | None:
        """The next probe, None when the search is over."""
        return None if self.undecided else next_probe(self.trial, self.search)


def searched(trial: Trial, facts: Mapping[int, TrialFacts], stage_of: StageOf) -> Searched | None:
    """Play a search again; None for a trial that is none.

    Args:
        trial: As planned.
        facts: What happened, by order.
        stage_of: The numbers of one trial, of the shape of a stage in results.json.
    """
    search = search_of(trial)
    if search is None or trial.find is None:
        return None
    found = Searched(trial, search, (), ())
    while (probe := found.upcoming) is not None and probe.order in facts:
        stage = stage_of(probe, facts[probe.order])
        conditions = evaluate(trial.find.find.until, stage)
        undecided = _undecided(stage, conditions)
        why = undecided or _why_not(stage, trial.find.find.until, conditions)
        holds = not why
        stage["find"] = {
            "stage": trial.find.name,
            "probe": probe.probe,
            "holds": None if undecided else holds,
            "why": why,
            "conditions": conditions,
        }
        search = found.search if undecided else found.search.after(held=holds)
        found = Searched(trial, search, (*found.probes, probe), (*found.stages, stage), undecided)
    return found


def _undecided(stage: Stage, conditions: Sequence[Mapping[str, Any]]) -> str:
    if stage["status"] == "aborted":
        return "it was cut short"
    if stage["actual_rps"] is None:
        return stage["events"][0]["message"] if stage["events"] else "it could not begin"
    unmeasured = [each["expr"] for each in conditions if each["value"] is None]
    if unmeasured and stage["requests"]["succeeded"]:
        return f"what {unmeasured[0]} asks for was not measured"
    return ""


def _why_not(stage: Stage, until: Sequence[Threshold], conditions: Sequence[Mapping[str, Any]]) -> str:
    """Why a rate does not hold; empty when it does."""
    if stage["validity"]["status"] == "invalid":
        reasons = stage["validity"]["reasons"] or ["the measurement is invalid"]
        return str(reasons[0])
    pairs = zip(until, conditions, strict=True)
    return "; ".join(broken(each, found["value"]) for each, found in pairs if not found["ok"])


def capacity(found: Searched) -> dict[str, Any]:
    """A search's entry in results.json.

    ``rps`` is the highest rate that held where there is an end to it, and None where nothing held or
    everything did: then the sentence says so.
    """
    assert found.trial.find is not None
    find, search = found.trial.find.find, found.search
    ending = "stopped" if found.undecided else search.ending
    latency = _latency(find, found.stages)
    _mark_deciding(found)
    at = {stage["target_rps"]: stage for stage in found.stages}
    limit = at[search.failed] if search.failed is not None else None
    turn = _knee(found.stages, latency)
    return {
        "stage": found.trial.find.name,
        "repeat": found.trial.repeat,
        "holds": [each.expr for each in find.until],
        "min_rps": find.least,
        "max_rps": find.max_rps,
        "precision": find.precision,
        "ending": ending,
        "rps": search.held if ending in {"found", "bounded"} else None,
        "held_rps": search.held,
        "failed_rps": search.failed,
        "limited_by": limit["verdict"]["code"] if limit else None,
        "latency": latency,
        "probes": [_probe(stage, latency) for stage in found.stages],
        "knee": turn,
        "sentence": " ".join(
            filter(
                None, (answer(search, found.stages, ending, found.undecided), doubt(limit), turn["sentence"])
            )
        ),
    }


def _mark_deciding(found: Searched) -> None:
    """The two probes that the answer rests on; the experiment's thresholds are those of the one that held."""
    deciding = {found.search.held, found.search.failed}
    for stage in found.stages:
        stage["find"]["decides"] = stage["target_rps"] in deciding
        if stage["target_rps"] != found.search.held:
            stage["thresholds"] = []


def _probe(stage: Stage, latency: str) -> dict[str, Any]:
    return {
        "rps": stage["target_rps"],
        "order": stage["order"],
        "ok": stage["find"]["holds"],
        "p95_ms": stage[f"{latency}_ms"]["p95"],
        "achieved": stage["achieved"],
        "why": stage["find"]["why"],
        "verdict": stage["verdict"]["code"],
        "validity": stage["validity"]["status"],
    }


def _latency(find: Find, stages: Sequence[Stage]) -> str:
    """The latency that is drawn: the first that was asked about, else response time where it is known."""
    asked = [each.metric.split(".")[0] for each in find.until]
    named = next((name for name in asked if name in LATENCIES), None)
    known = any(stage["response_time_ms"]["p95"] is not None for stage in stages)
    return named or ("response_time" if known or not stages else "duration")


def _knee(stages: Sequence[Stage], latency: str) -> dict[str, Any]:
    points = [
        (stage["target_rps"], stage[f"{latency}_ms"]["p95"])
        for stage in stages
        if stage["validity"]["status"] != "invalid" and stage[f"{latency}_ms"]["p95"] is not None
    ]
    found = knee(points)
    p95 = dict(points).get(found) if found is not None else None
    words = latency.replace("_", " ")
    if found is not None:
        there = f"{milliseconds(p95 or 0.0)} ms there"
        held = any(stage["find"]["holds"] for stage in stages if stage["target_rps"] == found)
        sentence = f"The knee is at {stage_name(found)}: above it the p95 {words} ({there}) turns up."
        if not held:
            sentence = f"The knee of the p95 {words} is at {stage_name(found)} ({there}), which did not hold."
    elif len(points) < LEAST_POINTS:
        probes = "one probe is" if len(points) == 1 else f"{len(points)} probes are"
        sentence = f"A knee is not named: {probes} too few for it."
    else:
        sentence = f"The p95 {words} has no knee between the rates that were tried."
    return {"rps": found, "p95_ms": p95, "method": KNEE_METHOD, "sentence": sentence}
