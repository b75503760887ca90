"""Whether a run that was run again came out the same: the archive's numbers against the new ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from runner.analyze.comparison import MARGIN, compare
from runner.analyze.key_metrics import measured, stages_by_name
from runner.core.errors import UsageError

Results = Mapping[str, Any]

SCHEMA_VERSION: Final = 1
REPRODUCED, NOT_REPRODUCED, UNTOLD = "reproduced", "not reproduced", "cannot be told"
_SHOWN: Final = ("better", "worse")


def reproduction(
    then: Results,
    now: Results,
    *,
    differs: Sequence[Mapping[str, str]] = (),
    identity: str = "",
    margin: float = MARGIN,
) -> dict[str, Any]:
    """What came out otherwise than in the archive.

    Numbers decide: a run is reproduced when every stage that the archive measured was measured again, no
    headline number is shown to differ, and every search ended between rates that fit. Where a number does
    differ but its stage is suspect, nobody can tell. A limit that is called otherwise is named beside.

    Args:
        then: The archive's results.
        now: Those of the same specification run again.
        differs: In what the surroundings differ (``what``, ``base``, ``head``).
        identity: The archive's.
        margin: As for `compare`.

    Returns:
        ``verdict``, ``differs``, ``where`` (each with ``configuration``, ``stage``, ``metric``, ``change``
        and ``verdict``), ``doubtful`` (of the same shape: differences of suspect stages), ``missing``
        (measured then, not now), ``searches``, ``limits``, and ``comparison`` as of `compare`, None with
        ``why_not`` when there is none.
    """
    comparison, why_not = _compared(then, now, margin)
    differing = list(_differing(comparison)) if comparison else []
    where = [each for each in differing if each["verdict"] in _SHOWN]
    doubtful = [each for each in differing if each["verdict"] not in _SHOWN]
    missing = list(_missing(then, now))
    searches = list(_searches(then, now, margin))
    return {
        "schema_version": SCHEMA_VERSION,
        "archive": identity,
        "then": _run(then),
        "now": _run(now),
        "verdict": _verdict(where, [*missing, *doubtful], searches, something=comparison is not None),
        "differs": [dict(each) for each in differs],
        "where": where,
        "doubtful": doubtful,
        "missing": missing,
        "searches": searches,
        "limits": list(_limits(then, now)),
        "comparison": comparison,
        "why_not": why_not,
    }


def _run(results: Results) -> dict[str, Any]:
    return {key: results["run"][key] for key in ("id", "started_at", "status")}


def _compared(then: Results, now: Results, margin: float) -> tuple[dict[str, Any] | None, str]:
    try:
        return compare([then], [now], margin=margin, force=True), ""
    except UsageError as error:
        return None, "; ".join([error.message, *error.details])


def _differing(comparison: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Numbers whose interval leaves out 0, also those that are not judged because their stage is suspect."""
    for stage in comparison["stages"]:
        for metric in stage["metrics"]:
            surely = metric["low"] > 0 or metric["high"] < 0
            if metric["verdict"] in _SHOWN or (surely and abs(metric["change"]) > comparison["margin"]):
                yield {
                    "configuration": stage["configuration"],
                    "stage": stage["stage"],
                    "metric": metric["name"],
                    "change": metric["change"],
                    "verdict": metric["verdict"],
                }


def _missing(then: Results, now: Results) -> Iterator[dict[str, str]]:
    again = stages_by_name(now)
    for key, stages in stages_by_name(then).items():
        if any(map(measured, stages)) and not any(map(measured, again.get(key, ()))):
            reasons = [_why(stage) for stage in again.get(key, ())] or ["it was not run"]
            yield {"configuration": key[0], "stage": key[1], "why": reasons[0]}


def _why(stage: Mapping[str, Any]) -> str:
    return "; ".join(stage["validity"]["reasons"]) or f"it was {stage['status']}"


def _searches(then: Results, now: Results, margin: float) -> Iterator[dict[str, Any]]:
    """Each search of the archive beside the same search now: they agree when their brackets overlap."""
    again = dict(_all_searches(now))
    for key, before in _all_searches(then):
        if before["ending"] == "stopped":
            continue
        after = again.get(key)
        yield {
            "configuration": key[0],
            "stage": key[1],
            "repeat": key[2],
            "then": _bracket(before),
            "now": _bracket(after) if after else [None, None],
            "verdict": _moved(before, after, margin),
        }


def _all_searches(results: Results) -> Iterator[tuple[tuple[str, str, int], Mapping[str, Any]]]:
    for configuration in results["configurations"]:
        for search in configuration.get("capacity") or ():
            yield (configuration["name"], search["stage"], search["repeat"]), search


def _bracket(search: Mapping[str, Any]) -> list[float | None]:
    """The highest rate that held and the lowest that did not."""
    return [search["held_rps"], search["failed_rps"]]


def _moved(before: Mapping[str, Any], after: Mapping[str, Any] | None, margin: float) -> str:
    if after is None or after["ending"] == "stopped":
        return UNTOLD
    if _above(after, before, margin):
        return "better"
    return "worse" if _above(before, after, margin) else "no difference shown"


def _above(one: Mapping[str, Any], other: Mapping[str, Any], margin: float) -> bool:
    """Whether all that one may be lies above all that the other may be, and by more than the margin."""
    held, failed = one["held_rps"] or 0.0, other["failed_rps"]
    return failed is not None and held > failed * (1 + margin)


def _limits(then: Results, now: Results) -> Iterator[dict[str, str]]:
    """Stages whose verdict names another limit now."""
    again = stages_by_name(now)
    for key, stages in stages_by_name(then).items():
        sides = [
            sorted({stage["verdict"]["code"] for stage in side if measured(stage)})
            for side in (stages, again.get(key, ()))
        ]
        if all(sides) and sides[0] != sides[1]:
            then_, now_ = (", ".join(side) for side in sides)
            yield {"configuration": key[0], "stage": key[1], "then": then_, "now": now_}


def _verdict(
    where: Sequence[object],
    untold: Sequence[object],
    searches: Sequence[Mapping[str, Any]],
    *,
    something: bool,
) -> str:
    if where or any(each["verdict"] in _SHOWN for each in searches):
        return NOT_REPRODUCED
    if untold or any(each["verdict"] == UNTOLD for each in searches) or not (something or searches):
        return UNTOLD
    return REPRODUCED
