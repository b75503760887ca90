"""Sentences about scenarios: how many users were served, where they were lost, and what took time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from runner.analyze.rules.scenarios import SlowestStep, slowest_step
from runner.core.measured import Part
from runner.core.stage_results import Stage
from runner.report import drops
from runner.report.markdown_text import EMPTY, Markdown, code, join, listed, markdown
from runner.report.metric_text import levels
from runner.report.stage_choice import believed

_STEPS_SHOWN: Final = 3


def shortfall(stage: Stage, reason: str) -> Markdown:
    """Return how many users a service served that did not serve all who were due.

    Args:
        stage: With scenarios, at a constant rate of users.
        reason: Why the stage does not count as sustained although all users were served; empty otherwise.
    """
    return markdown(
        "At {}, the service sustained {:share} of the users who were due ({:rate} scenarios completed per "
        "second){}.{}",
        *(levels(stage), stage.achieved, stage.scenarios_per_s, f", but {reason}" if reason else ""),
        losses(stage),
    )


def losses(stage: Stage) -> Markdown:
    """Return how many users did not complete, and why; empty if all did."""
    runs = stage.scenarios
    if runs is None or not runs.lost:
        return EMPTY
    parts = list(drops.phrases(stage.drops, runs.dropped, "started"))
    parts += [
        markdown("{:,} {}", count, words)
        for count, words in (
            (runs.failed, markdown("failed{}", _where(stage))),
            (runs.unfinished, markdown("were unfinished when the stage ended")),
        )
        if count
    ]
    who = "users who began" if stage.users is not None else "users due"
    return markdown(" Of the {:,} {}, {}.", runs.scheduled, who, listed(parts))


def _level(stage: Stage) -> str:
    """Return the level of a stage in a sentence: "at 20 users/s", "with 30 users"."""
    return f"{'at' if stage.users is None else 'with'} {levels(stage)}"


def _where(stage: Stage) -> Markdown:
    """Return at which steps users were lost to failures, the most first; empty if no step has them."""
    counts = {name: _failed_users(stage, part) for name, part in stage.request_parts.items()}
    lost = {name: count for name, count in counts.items() if count}
    worst = sorted(lost, key=lambda name: (-lost[name], name))[:_STEPS_SHOWN]
    more = ", among others" if len(lost) > len(worst) else ""
    if len(worst) == 1:
        return markdown(" at {}", code(worst[0]))
    return markdown(" (most at {}{})", listed(code(name) for name in worst), more) if worst else EMPTY


def _failed_users(stage: Stage, step: Part) -> int:
    """Return how many users failed at a step, without those whose request the end of the stage cut off."""
    scenario = stage.parts.get(step.scenario) if isinstance(step.scenario, str) else None
    runs = scenario.scenarios if scenario else None
    if runs is None:
        return step.requests.failed
    failures = runs.failures
    return sum(min(count, failures.get(kind, 0)) for kind, count in step.requests.failures.items())


def sentences(stages: Sequence[Stage]) -> Iterator[Markdown]:
    """Yield paragraphs about the scenarios of the stages of one configuration."""
    known = [stage for stage in believed(stages) if stage.scenarios]
    if not known:
        return
    stage = max(known, key=lambda stage: (stage.rate, stage.requests.scheduled))
    parts = [*_durations(stage), _slowest(stage, slowest_step(stage))]
    if paragraph := join(" ", filter(None, parts)):
        yield paragraph
    if explained := join(" ", filter(None, map(cut_off, known))):
        yield explained


def _durations(stage: Stage) -> Iterator[Markdown]:
    """Yield how long each scenario took; a ramp has that in its slices."""
    if stage.slices:
        return
    known = [
        (name, part.scenario_duration_ms)
        for name, part in stage.scenario_parts.items()
        if part.scenario_duration_ms.p50 is not None
    ]
    took = [
        markdown("{} took {:ms} ms in the median (p95: {})", code(name), latency.p50, _p95(latency.p95))
        for name, latency in known
    ]
    if took:
        yield markdown("{}, {}.", _level(stage).capitalize(), listed(took))


def _p95(value: float | None) -> Markdown:
    return markdown("no finite value") if value is None else markdown("{:ms} ms", value)


def _slowest(stage: Stage, slowest: SlowestStep | None) -> Markdown:
    if slowest is None:
        return EMPTY
    return markdown(
        "{}, {} took {:share} of the time of all requests of {}{}.",
        *(_level(stage).capitalize(), code(slowest.step), slowest.share, code(slowest.scenario)),
        ", because it is requested most often" if slowest.is_frequent else "",
    )


def cut_off(stage: Stage) -> Markdown:
    """Return that users were cut off because the stage ended; empty if no user was."""
    runs = stage.scenarios
    if runs is None or not runs.unfinished or not stage.timeout_s:
        return EMPTY
    return markdown(
        "{}, {:,} users were still under way {:g} s (the timeout) after the window; they count as "
        "unfinished, and as infinitely slow in percentiles. A longer timeout lets them end.",
        *(_level(stage).capitalize(), runs.unfinished, stage.timeout_s),
    )
