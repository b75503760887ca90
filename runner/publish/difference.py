"""What changed against a baseline, stage by stage: the one place where two runs are set side by side.

One run each says nothing about noise, so this shows differences and judges none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from runner.report import numbers
from runner.report.markup import escape, table

Results: TypeAlias = Mapping[str, Any]
Stage: TypeAlias = Mapping[str, Any]
Compare: TypeAlias = Callable[[Results, Results], str]
"""From this run and its baseline to a section of Markdown; empty when there is nothing to compare."""

_HOST: Final = ("cpu_model", "cpu_count", "kernel", "memory_mib", "machine", "python", "loadproof")


@dataclass(frozen=True, slots=True)
class Headline:
    """A number worth comparing.

    Attributes:
        name: The column's heading.
        value: Takes it from a stage; None when it was not measured.
        show: Writes it for people.
        relative: Whether a change in per cent says anything; of a share it would mislead.
    """

    name: str
    value: Callable[[Stage], float | None]
    show: Callable[[float | None], str]
    relative: bool = True


def _lost(stage: Stage) -> float | None:
    requests = stage["requests"]
    if not requests["scheduled"]:
        return None
    return float((requests["failed"] + requests["dropped"]) / requests["scheduled"])


HEADLINES: Final = (
    Headline("Actual RPS", lambda stage: stage["actual_rps"], numbers.rate),
    Headline("p95 Duration (ms)", lambda stage: stage["duration_ms"]["p95"], numbers.ms),
    Headline("p99 Duration (ms)", lambda stage: stage["duration_ms"]["p99"], numbers.ms),
    Headline(
        "App CPU (cores)", lambda stage: (stage["cpu_cores"].get("app") or {}).get("avg"), numbers.cores
    ),
    Headline("Failed or dropped", _lost, numbers.share, relative=False),
)


def differences(results: Results, baseline: Results) -> str:
    """A table of before, after and change for every stage that both runs have."""
    before = dict(_stages(baseline))
    after = dict(_stages(results))
    shared = [key for key in after if key in before]
    several = len({configuration for configuration, _, _ in after}) > 1
    rows = [
        [_place(key, several=several), *(_cell(headline, before[key], after[key]) for headline in HEADLINES)]
        for key in shared
    ]
    if not rows:
        return "No stage of this run is in the baseline."
    head = ["Stage", *(headline.name for headline in HEADLINES)]
    notes = [*_doubts(results, baseline), *_alone(after, before), *_invalid(shared, before, after)]
    said = "Baseline → this run; one run each, so differences of a few per cent may be noise."
    return "\n\n".join([table(head, rows), "\n".join([said, *(f"- {note}" for note in notes)])])


def _stages(results: Results) -> Iterator[tuple[tuple[str, str, int], Stage]]:
    for configuration in results["configurations"]:
        for stage in configuration["stages"]:
            if stage["status"] != "not-run":
                yield (configuration["name"], stage["name"], stage["repeat"]), stage


def _place(key: tuple[str, str, int], *, several: bool) -> str:
    configuration, stage, repeat = key
    name = f"{configuration}, {stage}" if several else stage
    return escape(name) + (f" (repeat {repeat})" if repeat > 1 else "")


def _cell(headline: Headline, before: Stage, after: Stage) -> str:
    old, new = headline.value(before), headline.value(after)
    if old is None or new is None:
        return numbers.NOT_MEASURED
    change = f" ({(new / old - 1) * 100:+.1f} %)" if old and headline.relative else ""
    return f"{headline.show(old)} → {headline.show(new)}{change}"


def _doubts(results: Results, baseline: Results) -> Iterator[str]:
    """Why the two may not be comparable."""
    if results["experiment"]["spec_sha256"] != baseline["experiment"]["spec_sha256"]:
        yield "The specifications differ."
    ours, theirs = results["environment"], baseline["environment"]
    differ = [name for name in _HOST if ours.get(name) != theirs.get(name)]
    if differ:
        pairs = [f"{name.replace('_', ' ')} {theirs.get(name)} → {ours.get(name)}" for name in differ]
        yield f"**They ran on different hosts or versions:** {escape('; '.join(pairs))}."


def _alone(after: Mapping[Any, Stage], before: Mapping[Any, Stage]) -> Iterator[str]:
    new = [_place(key, several=True) for key in after if key not in before]
    gone = [_place(key, several=True) for key in before if key not in after]
    if new:
        yield f"Not in the baseline: {numbers.listed(new)}."
    if gone:
        yield f"Only in the baseline: {numbers.listed(gone)}."


def _invalid(shared: list[Any], before: Mapping[Any, Stage], after: Mapping[Any, Stage]) -> Iterator[str]:
    for key in shared:
        where = [
            name
            for name, stages in (("the baseline", before), ("this run", after))
            if stages[key]["validity"]["status"] == "invalid"
        ]
        if where:
            yield f"{_place(key, several=True)} is invalid in {numbers.listed(where)}: its row says nothing."
