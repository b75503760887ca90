"""What a search says, in sentences: an answer with its evidence, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runner.analyze.latency import LATENCIES
from runner.core.units import percent
from runner.experiment.capacity_search import Search
from runner.experiment.model import Threshold
from runner.experiment.traffic import stage_name

Stage = Mapping[str, Any]


def broken(condition: Threshold, value: float | None) -> str:
    """Why a condition failed: ``response_time.p95 is 71.2 ms where < 50ms is asked``."""
    metric, asked = condition.metric, condition.expr.removeprefix(condition.metric).strip()
    if value is None:
        return f"nothing was answered, so there is no {metric}"
    if metric.startswith(LATENCIES):
        shown = f"{milliseconds(value)} ms"
    elif metric in {"achieved", "errors"}:
        shown = percent(value, 1 if 0.0095 < value < 0.985 else 2)
    else:
        shown = f"{value:,.4g}"
    return f"{metric} is {shown} where {asked} is asked"


def milliseconds(value: float) -> str:
    """About three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def answer(search: Search, stages: Sequence[Stage], ending: str, undecided: str) -> str:
    """What was found, or why nothing was.

    Args:
        search: Where it stands.
        stages: Its probes' numbers, each with its ``find``.
        ending: As of `Search.ending`, or ``stopped``.
        undecided: Why it stopped.
    """
    probes = f"{len(stages)} probe{'s'[: len(stages) != 1]}"
    if ending == "stopped":
        rate = stage_name(stages[-1]["target_rps"])
        return f"The search stopped at {rate}, because {undecided}: {_until_then(search)}."
    if ending == "open":
        return f"The search was cut short after {probes}: {_until_then(search)}."
    if ending == "never":
        return (
            f"No rate held, not even {stage_name(search.least)}, the lowest it may try "
            f"({_reason(search, stages)}): the capacity lies below and was not found."
        )
    if ending == "always":
        return (
            f"Every rate held, up to {stage_name(search.most)}, the highest it may try: the capacity lies "
            "above and was not found."
        )
    return _bracket(search, stages, probes, whole=ending == "found")


def _bracket(search: Search, stages: Sequence[Stage], probes: str, *, whole: bool) -> str:
    """The rates on both sides of the capacity, as far as the probes went."""
    if search.held is None or search.failed is None:
        side = "failed" if search.held is None else "held"
        reached = stage_name(search.failed or search.held or 0)
        where = "below" if search.held is None else "above"
        bound = f"the last at {reached}, and no more were allowed"
        return f"All {probes} {side}, {bound}: the capacity lies {where}."
    bound = "" if whole else ", which is as near as so few can come"
    return (
        f"The highest rate that holds is {stage_name(search.held)}; {stage_name(search.failed)} does not "
        f"({_reason(search, stages)}). It took {probes}{bound}."
    )


def _until_then(search: Search) -> str:
    if search.held is None:
        return "nothing had held until then"
    return f"{stage_name(search.held)} had held until then"


def _reason(search: Search, stages: Sequence[Stage]) -> str:
    return next((str(each["find"]["why"]) for each in stages if each["target_rps"] == search.failed), "")


def doubt(limit: Stage | None) -> str:
    """Whose limit the lowest rate that failed shows.

    Args:
        limit: That probe; None when none failed.
    """
    if limit is None:
        return ""
    code, validity = limit["verdict"]["code"], limit["validity"]
    if code == "generator-limited":
        return "That is where the load generator ends: the service may hold more."
    if validity["status"] != "valid" and limit["status"] == "complete":
        rate = stage_name(limit["target_rps"])
        return f"The probe at {rate} is {validity['status']}: {validity['reasons'][0]}."
    if code in {"within-capacity", "undetermined"}:
        return ""
    return f"What limits it there: {code} ({limit['verdict']['confidence']})."
