"""Whether one system is better than another: two sets of runs of the same stages set against each other.

The intervals of one comparison hold together: each number gets its share of the 5 %, p95
the largest (weighted Bonferroni; Rosenthal and Rubin, 1983), so that on equal systems at most
1 comparison in 20 says anything at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, fmean, geometric_mean, stdev
from typing import Any, Final

from runner.analyze.comparability import changed, unlike
from runner.analyze.key_metrics import HEADLINES, Headline, measured
from runner.analyze.statistics import Interval, difference, ratio, ratio_of_single
from runner.core.errors import UsageError

Results = Mapping[str, Any]
Stage = Mapping[str, Any]
Key = tuple[str, str]

SCHEMA_VERSION: Final = 1
MARGIN: Final = 0.05
_ERROR: Final = 0.05
_LEAST_LOST: Final = 0.01
_ENOUGH_SECONDS: Final = 3
_ENOUGH_REPEATS: Final = 4
_HELD: Final = 0.99
_NOISE_OF_HELD: Final = 0.01


@dataclass(slots=True)
class _Pool:
    """One side's stages, all repeats of all its runs together."""

    stages: dict[Key, list[Stage]] = field(default_factory=dict)
    left_out: list[dict[str, str]] = field(default_factory=list)
    doubts: list[dict[str, str]] = field(default_factory=list)
    setups: dict[Key, Any] = field(default_factory=dict)


def compare(
    base: Sequence[Results], head: Sequence[Results], *, margin: float = MARGIN, force: bool = False
) -> dict[str, Any]:
    """What changed from `base` to `head`, and how sure that is.

    Args:
        base: Results of one run or of several of the same specification.
        head: Likewise.
        margin: Changes up to this share are as good as none, > 0.
        force: Compare machines that are unlike.

    Returns:
        ``unlike`` and ``changed`` (``what``, ``base``, ``head``), ``stages``, each with its
        ``metrics``, and ``verdict``. A metric has ``base`` and ``head`` (geometric means), ``change`` with
        ``low`` and ``high`` (a share of base; of ``lost`` the difference), ``detectable`` (the smallest
        change these data could have shown), ``basis`` (``repeats``, ``repeats of one side`` or ``assumed
        noise``) and a ``verdict``: ``better``, ``worse``, ``equivalent`` or ``no difference shown``. Stages
        under ``suspect`` are used; where one is all that a side has, only its rate and losses are judged.

    Raises:
        UsageError: The machines are unlike and `force` is off, or there is no stage that both have.
    """
    machines = unlike(base, head)
    if machines and not force:
        raise UsageError(
            "the runs come from unlike machines, so a difference says nothing about the system",
            hint="run both on one machine, or compare all the same with --force",
            details=tuple(f"{each['what']}: {each['base']} → {each['head']}" for each in machines),
        )
    before, after = _pool(base, "base"), _pool(head, "head")
    shared = [key for key in after.stages if key in before.stages]
    _drop_unlike_setups(shared, before, after)
    if not shared:
        raise UsageError(
            "the runs have no stage in common that can be used",
            hint="compare runs of the same specification",
            details=tuple(_why(each) for each in (*before.left_out, *after.left_out)),
        )
    _refuse_shared_runs(base, head)
    known = [_known(before.stages[key], after.stages[key]) for key in shared]
    share = _ERROR / sum(headline.weight for found in known for headline, _, _ in found)
    stages = [
        _stage(key, [_metric(*each, alpha=share * each[0].weight, margin=margin) for each in found])
        for key, found in zip(shared, known, strict=True)
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "margin": margin,
        "confidence": 1 - _ERROR,
        "base": [_run(each) for each in base],
        "head": [_run(each) for each in head],
        "unlike": machines,
        "changed": changed(base, head),
        "only_in_base": [list(key) for key in before.stages if key not in after.stages],
        "only_in_head": [list(key) for key in after.stages if key not in before.stages],
        "left_out": [*before.left_out, *after.left_out],
        "suspect": [*before.doubts, *after.doubts],
        "stages": stages,
        "verdict": _overall([stage["verdict"] for stage in stages]),
    }


def _refuse_shared_runs(base: Sequence[Results], head: Sequence[Results]) -> None:
    both = {each["run"]["id"] for each in base} & {each["run"]["id"] for each in head}
    if both:
        raise UsageError(
            f"run {min(both)} is on both sides", hint="compare runs with others, each on one side only"
        )


def _run(results: Results) -> dict[str, Any]:
    run = results["run"]
    return {
        "id": run["id"],
        "started_at": run["started_at"],
        "status": run["status"],
        "spec_sha256": results["experiment"]["spec_sha256"],
        "command": run["command"],
    }


def _pool(runs: Sequence[Results], side: str) -> _Pool:
    pool = _Pool()
    for results in runs:
        for configuration in results["configurations"]:
            for stage in configuration["stages"]:
                if stage.get("find") or stage["status"] == "not-run":
                    continue
                key = (configuration["name"], stage["name"])
                if not measured(stage):
                    why = "; ".join(stage["validity"]["reasons"]) or f"it was {stage['status']}"
                    pool.left_out.append(_left_out(side, key, why))
                    continue
                if stage["validity"]["status"] == "suspect":
                    pool.doubts.append(_left_out(side, key, "; ".join(stage["validity"]["reasons"])))
                pool.stages.setdefault(key, []).append(stage)
                pool.setups[key] = _setup(configuration, stage)
    return pool


def _setup(configuration: Mapping[str, Any], stage: Stage) -> tuple[Any, ...]:
    """What must be alike for a stage to be the same stage."""
    return (
        ("rate", stage["target_rps"]),
        ("engine", configuration["engine"]),
        ("connections", configuration["load"]["connection"]),
        ("arrivals", configuration["load"]["arrivals"]),
    )


def _drop_unlike_setups(shared: list[Key], before: _Pool, after: _Pool) -> None:
    for key in tuple(shared):
        pairs = zip(before.setups[key], after.setups[key], strict=True)
        differ = [f"{a[0]} {a[1]} → {b[1]}" for a, b in pairs if a != b]
        if differ:
            shared.remove(key)
            after.left_out.append(_left_out("both", key, f"not the same stage: {', '.join(differ)}"))


def _left_out(side: str, key: Key, why: str) -> dict[str, str]:
    return {"side": side, "configuration": key[0], "stage": key[1], "why": why}


def _why(each: Mapping[str, str]) -> str:
    return f"{each['side']}, {each['configuration']}, {each['stage']}: {each['why']}"


def _known(base: Sequence[Stage], head: Sequence[Stage]) -> list[tuple[Headline, list[Stage], list[Stage]]]:
    """The headline numbers that both sides have, with the stages that have them."""
    found = []
    for headline in HEADLINES:
        before, after = (
            [stage for stage in side if _value(headline, stage) is not None] for side in (base, head)
        )
        if before and after:
            found.append((headline, before, after))
    return found


def _value(headline: Headline, stage: Stage) -> float | None:
    value = headline.value(stage)
    return None if value is None or (headline.relative and value <= 0) else value


def _metric(
    headline: Headline, base: Sequence[Stage], head: Sequence[Stage], *, alpha: float, margin: float
) -> dict[str, Any]:
    sides = [
        [value for each in side if (value := _value(headline, each)) is not None] for side in (base, head)
    ]
    basis = _basis(sides)
    repeated = basis == "repeats"
    least = margin if headline.relative else _LEAST_LOST
    if basis == "assumed noise":
        found = _assumed(headline, base, head, alpha)
    else:
        interval = difference if not headline.relative else ratio
        found = interval(*sides, alpha=alpha)
    # a single disturbed run can be slow by any factor; how much it answered is safe
    doubtful = not repeated and not headline.robust and (_suspect(base) or _suspect(head))
    off = 1.0 if headline.relative else 0.0
    change, low, high = found.value - off, found.low - off, found.high - off
    return {
        "name": headline.key,
        "unit": headline.unit,
        "base": _typical(headline, sides[0]),
        "head": _typical(headline, sides[1]),
        "n": [len(side) for side in sides],
        "change": change,
        "low": low,
        "high": high,
        "detectable": max(least, _reach(found, relative=headline.relative)),
        "basis": basis,
        "verdict": "no difference shown" if doubtful else _verdict(headline, change, low, high, least),
    }


def _suspect(stages: Sequence[Stage]) -> bool:
    return any(stage["validity"]["status"] == "suspect" for stage in stages)


def _basis(sides: Sequence[Sequence[float]]) -> str:
    """What tells how much runs differ: both sides' repeats, those of one side, or nothing."""
    few, many = sorted(map(len, sides))
    if few > 1:
        return "repeats"
    return "repeats of one side" if many >= _ENOUGH_REPEATS else "assumed noise"


def _typical(headline: Headline, values: Sequence[float]) -> float:
    """What the change is the change of."""
    return geometric_mean(values) if headline.relative else fmean(values)


def _assumed(headline: Headline, base: Sequence[Stage], head: Sequence[Stage], alpha: float) -> Interval:
    """One run on a side: nothing tells how runs differ, so a noise is assumed that is rather too large."""
    values = [[float(headline.value(each) or 0) for each in side] for side in (base, head)]
    if headline.relative:
        spread = _between(headline, base, head)
        return ratio_of_single(*values, sigma=spread, alpha=alpha)
    lost = [fmean(each) for each in values]
    middle = lost[1] - lost[0]
    requests = min(each["requests"]["scheduled"] for side in (base, head) for each in side)
    reach = NormalDist().inv_cdf(1 - alpha / 2) * _noise_of_losses(lost, requests) * 2**0.5
    return Interval(middle, middle - reach, middle + reach)


def _noise_of_losses(lost: Sequence[float], requests: int) -> float:
    """Chance as in drawing requests, half as much again; what both sides lose anyway varies by a third."""
    both = fmean(lost)
    return 0.002 + 1.5 * math.sqrt(both * (1 - both) / max(requests, 1)) + min(lost) / 3


def _between(headline: Headline, base: Sequence[Stage], head: Sequence[Stage]) -> float:
    """The noise of the side that has less of it where the rate is meant, of the noisier one else.

    A service that falls behind is noisy; that must not hide that it fell behind.
    """
    sides = [max(_noise(headline, each) for each in side) for side in (base, head)]
    return min(sides) if headline.key == "actual_rps" else max(sides)


def _noise(headline: Headline, stage: Stage) -> float:
    """The assumed noise, or how much the seconds of this run differ where that is more."""
    field_ = {"actual_rps": "rps"}.get(headline.key, "p95_ms" if "_ms." in headline.key else "")
    seconds = [each.get(field_) for each in stage["timeseries"] if each["t_s"] > 0] if field_ else []
    logarithms = [math.log(value) for value in seconds if value and value > 0]
    least = headline.noise
    if headline.key == "actual_rps" and (stage["achieved"] or 0) >= _HELD:
        least = _NOISE_OF_HELD  # an open loop offers the same each time
    if len(logarithms) < _ENOUGH_SECONDS:
        return least
    return max(least, stdev(logarithms))


def _reach(interval: Interval, *, relative: bool) -> float:
    """Half the interval: a change must be larger than this to be told from none."""
    if not relative:
        return interval.high - interval.value
    return interval.high / interval.value - 1


def _verdict(headline: Headline, change: float, low: float, high: float, margin: float) -> str:
    if (low > 0 or high < 0) and abs(change) > margin:
        return "better" if (change > 0) == (headline.better == "more") else "worse"
    return "equivalent" if -margin <= low and high <= margin else "no difference shown"


def _stage(key: Key, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "configuration": key[0],
        "stage": key[1],
        "metrics": metrics,
        "verdict": _overall([metric["verdict"] for metric in metrics]),
    }


def _overall(verdicts: Sequence[str]) -> str:
    """One word for many: what is worse outweighs what is better."""
    for word in ("worse", "better", "no difference shown"):
        if word in verdicts:
            return word
    return "equivalent"


def worse(comparison: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Every stage and metric that got worse."""
    for stage in comparison["stages"]:
        for metric in stage["metrics"]:
            if metric["verdict"] == "worse":
                yield stage, metric
