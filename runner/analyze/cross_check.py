"""Two engines on the same stage: where their numbers agree, and why where they do not.

An instrument is believed when another one, built by other people, shows the same. Where it does
not, the calibrations of both and what each left out say which of them is off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Stage = Mapping[str, Any]

SAME_SHARE: Final = 0.10
SAME_MS: Final = 0.2
SAME_RATE: Final = 0.01
_METRICS: Final = (
    ("actual_rps", None),
    ("duration_ms", "p50"),
    ("duration_ms", "p95"),
    ("duration_ms", "p99"),
    ("connect_ms", "p95"),
)


def cross_checks(stages: Sequence[Stage], checks: Sequence[Stage]) -> list[dict[str, Any]]:
    """Each stage beside the trial of the other engine.

    Args:
        stages: As in results.json.
        checks: The trials of the other engine, of the same shape.

    Returns:
        A list of ``{stage, repeat, engines, differences, agrees, reasons, trial}``; `trial` is the
        other engine's stage whole.
    """
    others = {(each["name"], each["repeat"]): each for each in checks}
    pairs = [(each, others.get((each["name"], each["repeat"]))) for each in stages]
    return [_compared(stage, other) for stage, other in pairs if other is not None]


def _compared(stage: Stage, other: Stage) -> dict[str, Any]:
    differences = [found for metric in _METRICS if (found := _difference(stage, other, *metric)) is not None]
    measured = all(each["status"] == "complete" for each in (stage, other))
    judged = [each for each in differences if each["metric"] != "connect_ms.p95"]
    agrees = measured and all(each["same"] for each in judged)
    return {
        "stage": stage["name"],
        "repeat": stage["repeat"],
        "engines": [stage["engine"], other["engine"]],
        "differences": differences,
        "agrees": agrees,
        "reasons": [] if agrees else list(_reasons(stage, other)),
        "trial": dict(other),
    }


def _difference(stage: Stage, other: Stage, name: str, statistic: str | None) -> dict[str, Any] | None:
    ours, theirs = ((each[name] or {}).get(statistic) if statistic else each[name] for each in (stage, other))
    if ours is None or theirs is None:
        return None
    bound = SAME_RATE * theirs if statistic is None else max(SAME_SHARE * min(ours, theirs), SAME_MS)
    return {
        "metric": f"{name}.{statistic}" if statistic else name,
        "values": [ours, theirs],
        "difference": round(theirs - ours, 4),
        "ratio": round(theirs / ours, 4) if ours else None,
        "same": abs(theirs - ours) <= bound,
    }


def _reasons(stage: Stage, other: Stage) -> Iterator[str]:
    """Why they may differ, each with its number; the likeliest first."""
    both = (stage, other)
    for each in both:
        if each["status"] != "complete":
            yield f"the stage with {each['engine']} did not run to its end"
    yield from (reason for each in both if (reason := _dropped(each)))
    yield from (reason for each in both if (reason := _failed(each)))
    yield from _floors(stage, other)
    yield from (reason for each in both if (reason := _bunched(each)))
    if reason := _connecting(stage, other):
        yield reason


def _dropped(stage: Stage) -> str | None:
    dropped, scheduled = stage["requests"]["dropped"], stage["requests"]["scheduled"]
    if not dropped:
        return None
    share = f" ({dropped / scheduled:.1%})" if scheduled else ""
    return f"drops: {stage['engine']} did not send {dropped:,} requests{share}, and nothing is known of those"


def _failed(stage: Stage) -> str | None:
    failed = stage["requests"]["failed"]
    return f"failures: {failed:,} requests of {stage['engine']} failed" if failed else None


def _floors(stage: Stage, other: Stage) -> Iterator[str]:
    """Of two engines against a responder that does nothing, the slower one measures itself."""
    floors = [(floor, each["engine"]) for each in (stage, other) if (floor := _floor_p95(each)) is not None]
    if len(floors) < 2:
        return
    (better, exact), (worse, coarse) = sorted(floors)
    if worse - better > SAME_MS / 2:
        yield (
            f"the engine itself: against the null responder {coarse} shows a p95 of {worse:.2f} ms, "
            f"{exact} {better:.2f} ms"
        )


def _floor_p95(stage: Stage) -> float | None:
    found: float | None = ((stage["calibration"] or {}).get("duration_ms") or {}).get("p95")
    return found


def _bunched(stage: Stage) -> str | None:
    spacing = (stage["calibration"] or {}).get("spacing_us")
    if not spacing or spacing["error_p50_us"] < 0.2 * spacing["planned_gap_us"]:
        return None
    return (
        f"bunching: half of the gaps between {stage['engine']}'s requests were at least "
        f"{spacing['error_p50_us']:,.0f} µs off the planned {spacing['planned_gap_us']:,.0f} µs"
    )


def _connecting(stage: Stage, other: Stage) -> str | None:
    ours, theirs = ((each["connect_ms"] or {}).get("p95") for each in (stage, other))
    if ours is None or theirs is None or abs(ours - theirs) <= SAME_MS:
        return None
    return (
        f"connection time, which is not in the duration: p95 {ours:.2f} ms with {stage['engine']}, "
        f"{theirs:.2f} ms with {other['engine']}"
    )
