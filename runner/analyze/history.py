"""The runs of one experiment in the order of time: where each number came from and where it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from runner.analyze.comparability import unlike
from runner.analyze.comparison import compare
from runner.analyze.key_metrics import HEADLINES, measured, stages_by_name
from runner.core.errors import UsageError

Results = Mapping[str, Any]
SCHEMA_VERSION = 1


def history(runs: Sequence[Results], *, margin: float) -> dict[str, Any]:
    """The trend of every stage and headline number of one experiment.

    Args:
        runs: At least two, in any order.
        margin: As for `compare`.

    Returns:
        ``runs``, oldest first, and ``stages``, each with its ``metrics``: ``values`` (one a run, null where
        it has none), ``median`` of all but the last, ``last``, and the ``verdict`` of the last against all
        earlier ones; ``unlike`` lists runs that another machine made, which are left out.
    """
    ordered = sorted(runs, key=lambda each: (each["run"]["started_at"], each["run"]["id"]))
    last = ordered[-1]
    elsewhere = [each for each in ordered if unlike([last], [each])]
    used = [each for each in ordered if each not in elsewhere]
    judged = _judged(used, margin)
    keys = dict.fromkeys(key for each in reversed(used) for key in stages_by_name(each))
    return {
        "schema_version": SCHEMA_VERSION,
        "experiment": last["experiment"]["name"],
        "margin": margin,
        "runs": [
            {key: each["run"][key] for key in ("id", "started_at", "status", "command")}
            | {"spec_sha256": each["experiment"]["spec_sha256"]}
            for each in used
        ],
        "unlike": [each["run"]["id"] for each in elsewhere],
        "stages": [_stage(key, used, judged) for key in keys],
    }


def _judged(runs: Sequence[Results], margin: float) -> dict[tuple[str, str, str], str]:
    """The verdict on each number of the last run against all before it."""
    if len(runs) < 2:
        return {}
    try:
        found = compare(runs[:-1], runs[-1:], margin=margin)
    except UsageError:
        return {}
    return {
        (stage["configuration"], stage["stage"], metric["name"]): metric["verdict"]
        for stage in found["stages"]
        for metric in stage["metrics"]
    }


def _stage(
    key: tuple[str, str], runs: Sequence[Results], judged: Mapping[tuple[str, str, str], str]
) -> dict[str, Any]:
    metrics = []
    for headline in HEADLINES:
        values = [
            median(known) if (known := [v for s in stages_by_name(each).get(key, ()) if measured(s)
                                        and (v := headline.value(s)) is not None]) else None
            for each in runs
        ]  # fmt: skip
        earlier = [value for value in values[:-1] if value is not None]
        if any(value is not None for value in values):
            metrics.append(
                {
                    "name": headline.key,
                    "unit": headline.unit,
                    "values": values,
                    "median": median(earlier) if earlier else None,
                    "last": values[-1],
                    "verdict": judged.get((*key, headline.key)),
                }
            )
    return {"configuration": key[0], "stage": key[1], "metrics": metrics}
