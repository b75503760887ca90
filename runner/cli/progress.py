"""The progress of a run: a live panel on a terminal, plain lines elsewhere.

The panel is redrawn at most twice a second, and only when there is a new measurement. There is no drawing
thread that could disturb the measurement.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from runner.analyze.runs import scenarios_of
from runner.cli.terminal import visible
from runner.core.codes import Role, RoleName, is_service
from runner.core.facts import TrialFacts
from runner.core.load_facts import LoadSecond
from runner.core.observed_facts import Sample, Subject
from runner.core.units import Seconds
from runner.execution.job import Watcher
from runner.execution.role_usage import RoleUsage
from runner.experiment.trial_title import trial_title
from runner.experiment.trials import Trial

_REDRAW_S: Final = 0.5
_LINE_EVERY_S: Final = 10


@dataclass(slots=True)
class Now:
    """What is known about the current trial.

    Attributes:
        users: Under way in scenarios; None without scenarios.
        scenarios_per_s: Completed in the last second.
        usage: What each role uses.
    """

    trial: Trial | None = None
    number: int = 0
    total: int = 0
    t_s: Seconds = 0.0
    rps: float | None = None
    p95_ms: float | None = None
    users: int | None = None
    scenarios_per_s: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    in_flight: int = 0
    usage: RoleUsage = field(default_factory=RoleUsage)

    @classmethod
    def starting(cls, trial: Trial, total: int) -> Self:
        """Return the state at the start of a trial."""
        return cls(trial=trial, number=trial.order + 1, total=total, t_s=-trial.stage.warmup)

    def second(self, second: LoadSecond) -> None:
        """Update from one second of load."""
        self.t_s = max(self.t_s, second.index + 1)
        self.rps = second.completed
        self.p95_ms = (second.response_time or second.duration).percentile_ms(95)
        self.in_flight = second.in_flight
        if second.scenarios:
            self.users = sum(runs.in_flight for runs in second.scenarios.values())
            self.scenarios_per_s = sum(runs.completed for runs in second.scenarios.values())
        failures = dict(second.failures) | ({"dropped": second.dropped} if second.dropped else {})
        for kind, count in failures.items():
            self.failures[kind] = self.failures.get(kind, 0) + count

    def sample(self, sample: Sample, subjects: tuple[Subject, ...]) -> None:
        """Update from a reading of the counters."""
        self.t_s = max(self.t_s, sample.t_s)
        self.usage.sample(sample, subjects)


class PlainProgress(Watcher):
    """Prints a line per stage and one every ten seconds, for logs and CI."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._now = Now()
        self._next_line_s: Seconds = 0.0

    def say(self, line: str) -> None:
        self._print(line)

    def trial_begins(self, trial: Trial, total: int) -> None:
        self._now = Now.starting(trial, total)
        self._next_line_s = _LINE_EVERY_S
        stage = trial.stage
        warmup = f" after {stage.warmup:g} s of warm-up" if stage.warmup else ""
        self._print(f"{_title(self._now)}: offering {stage.level} for {stage.duration:g} s{warmup}")

    def second(self, second: LoadSecond) -> None:
        self._now.second(second)
        if self._now.trial and self._next_line_s <= self._now.t_s < self._now.trial.stage.duration:
            self._next_line_s += _LINE_EVERY_S
            self._print(f"    {self._now.t_s:.0f} s: {_figures(self._now)}")

    def sample(self, sample: Sample, subjects: tuple[Subject, ...]) -> None:
        self._now.sample(sample, subjects)

    def trial_ends(self, facts: TrialFacts) -> None:
        for line in _ending(facts):
            self._print(line)

    def _print(self, line: str) -> None:
        self._console.print(visible(line), soft_wrap=True)


class LiveProgress(Watcher):
    """Redraws a panel in place."""

    def __init__(self, console: Console, live: Live) -> None:
        self._console = console
        self._live = live
        self._now = Now()
        self._drawn_at = 0.0

    def say(self, line: str) -> None:
        self._console.print(visible(line), soft_wrap=True)

    def trial_begins(self, trial: Trial, total: int) -> None:
        self._now = Now.starting(trial, total)
        self._draw(force=True)

    def second(self, second: LoadSecond) -> None:
        self._now.second(second)
        self._draw()

    def sample(self, sample: Sample, subjects: tuple[Subject, ...]) -> None:
        self._now.sample(sample, subjects)
        self._draw()

    def trial_ends(self, facts: TrialFacts) -> None:
        self._live.update(Text(""), refresh=True)
        for line in (_title(self._now), *_ending(facts)):
            self.say(line)

    def _draw(self, *, force: bool = False) -> None:
        instant = time.monotonic()
        if force or instant - self._drawn_at >= _REDRAW_S:
            self._drawn_at = instant
            self._live.update(panel(self._now), refresh=True)


class QuietProgress(Watcher):
    """Prints nothing."""

    def say(self, line: str) -> None: ...

    def trial_begins(self, trial: Trial, total: int) -> None: ...

    def second(self, second: LoadSecond) -> None: ...

    def sample(self, sample: Sample, subjects: tuple[Subject, ...]) -> None: ...

    def trial_ends(self, facts: TrialFacts) -> None: ...


def _title(now: Now) -> str:
    assert now.trial is not None
    return f"[{now.number}/{now.total}] {trial_title(now.trial)}"


def _figures(now: Now) -> str:
    parts = [f"{now.rps or 0:,.0f} RPS", f"p95 {_ms(now.p95_ms)}"]
    if now.users is not None:
        parts = [f"{now.users:,} users under way", f"{now.scenarios_per_s:,} scenarios/s", *parts]
    if (app := now.usage.cores().get(Role.APP)) is not None:
        parts.append(f"app {app:.2f} cores")
    parts += [f"{count:,} {kind}" for kind, count in sorted(now.failures.items())]
    return ", ".join(parts)


def _ending(facts: TrialFacts) -> list[str]:
    seconds = facts.load.seconds if facts.load else ()
    succeeded = sum(second.succeeded for second in seconds)
    failed = sum(second.dropped + sum(second.failures.values()) for second in seconds)
    text = f"    {facts.status}: {succeeded:,} succeeded, {failed:,} failed or dropped"
    if facts.load and facts.load.scenarios:
        text = f"    {facts.status}: {_runs(seconds)}; of their requests, {succeeded:,} succeeded"
    return [text, *(f"    {event.message}" for event in facts.events)]


def _runs(seconds: Sequence[LoadSecond]) -> str:
    """Return how the runs of scenarios ended."""
    runs = scenarios_of([runs for second in seconds for runs in second.scenarios.values()])
    counts = {
        "completed": runs.completed, "failed": runs.failed, "unfinished": runs.unfinished,
        "dropped": runs.dropped,
    }  # fmt: skip
    shown = [
        f"{count:,} {word}" for word, count in counts.items() if count or word in {"completed", "failed"}
    ]
    return f"{runs.scheduled:,} scenarios due, {', '.join(shown)}"


def panel(now: Now) -> Group:
    """Return what a terminal shows of a trial under way; `now.trial` is not None."""
    trial = now.trial
    assert trial is not None
    stage = trial.stage
    length = stage.warmup + stage.duration
    phase = (
        "warm-up"
        if now.t_s < 0
        else "measuring"
        if now.t_s < stage.duration
        else "waiting for the last responses"
    )
    title = visible(_title(now), "bold")
    title.overflow, title.no_wrap = "ellipsis", True
    head = Table.grid(padding=(0, 2))
    head.add_row(
        ProgressBar(total=length, completed=min(now.t_s + stage.warmup, length), width=30),
        f"{phase}, {max(stage.duration - now.t_s, 0):.0f} s left",
    )
    body = Table.grid(padding=(0, 3))
    now_rps = stage.rate_at(now.t_s - 0.5)  # in the middle of the last second
    in_flight = "not measured" if trial.configuration.load.engine == "k6" else f"{now.in_flight:,}"
    body.add_row("target", stage.level, "p95", _ms(now.p95_ms), "in flight", in_flight)
    share = "" if now.rps is None or not now_rps else f"{now.rps / now_rps:.0%} of target"
    body.add_row("actual", "–" if now.rps is None else f"{now.rps:,.0f} RPS", share)
    if now.users is not None:
        body.add_row("users", f"{now.users:,} under way", "scenarios", f"{now.scenarios_per_s:,}/s")
    used = now.usage.cores()
    cores = ", ".join(f"{role} {used[role]:.2f}" for role in _in_order(used))
    failed = ", ".join(f"{count:,} {kind}" for kind, count in sorted(now.failures.items()))
    lines: list[RenderableType] = [title, head, body, *([Text(f"cores    {cores}")] if cores else [])]
    return Group(*lines, *([Text(f"failed   {failed}", style="red")] if failed else []))


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} ms" if value < 100 else f"{value:,.0f} ms"


def _in_order(cores: Mapping[RoleName, float]) -> list[RoleName]:
    """Return the roles of a system in their usual order, then its services by name."""
    return [*(role for role in Role if role in cores), *sorted(role for role in cores if is_service(role))]
