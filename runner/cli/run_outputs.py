"""What `runner execute` gives to other programs while a run is in progress: OpenMetrics and OTLP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.cli.output import say
from runner.core.facts import TrialFacts
from runner.core.live import LiveRecord
from runner.core.load_facts import LoadSecond
from runner.core.observed_facts import Sample, Subject
from runner.core.results import Results
from runner.execution.job import Watcher
from runner.experiment.trials import Trial

if TYPE_CHECKING:
    from runner.outputs.live_totals import LiveTotals
    from runner.outputs.otlp import OtlpPush


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """The part of the command line that asks for them.

    Attributes:
        metrics_port: Where Prometheus reads; 0 for any free port, None for nowhere.
        metrics_host: The address that this is on.
        otlp: Address of a collector; None for none.
        quiet: Whether nothing is said of it.
    """

    metrics_port: int | None
    metrics_host: str
    otlp: str | None
    quiet: bool


@dataclass(frozen=True, slots=True)
class RunOutputs:
    """Takes what happens in a run to where other programs read it.

    Attributes:
        sinks: Take the records of the run.
        watchers: Take what is not in the records.
        push: Pushes to a collector; None without one.
    """

    sinks: tuple[Callable[[LiveRecord], None], ...] = ()
    watchers: tuple[Watcher, ...] = ()
    push: OtlpPush | None = None

    def finish(self, results: Results | None) -> None:
        """Give a collector what is left, and say if it did not take it."""
        if self.push and (problem := self.push.finish(results)):
            say(problem, label="note:", colour="yellow")


class _LoadCounter(Watcher):
    """Counts the seconds of load, whose histograms are not in the records."""

    def __init__(self, totals: LiveTotals) -> None:
        self._totals = totals

    def second(self, second: LoadSecond) -> None:
        """Count a second."""
        self._totals.load(second)

    def say(self, line: str) -> None:
        """Do nothing: it is in the records."""

    def trial_begins(self, trial: Trial, total: int) -> None:
        """Do nothing likewise."""

    def sample(self, sample: Sample, subjects: tuple[Subject, ...]) -> None:
        """Do nothing likewise."""

    def trial_ends(self, facts: TrialFacts) -> None:
        """Do nothing likewise."""


@contextmanager
def run_outputs(options: OutputOptions) -> Iterator[RunOutputs]:
    """Provide the outputs that the command line asks for; what is served can be read until the end.

    Raises:
        UsageError: The collector's address is none.
        EnvironmentLacks: The port is taken, or the extra `otel` is not installed.
    """
    if options.metrics_port is None and options.otlp is None:
        yield RunOutputs()
        return
    from runner.outputs.live_totals import LiveTotals

    totals = LiveTotals()
    with ExitStack() as stack:
        push = _push(options.otlp, totals) if options.otlp is not None else None
        if options.metrics_port is not None:
            _serve(stack, totals, options)
        if push:
            push.start()
        try:
            yield RunOutputs((totals.record,), (_LoadCounter(totals),), push)
        finally:
            if push and not push.is_finished:
                push.finish(None)


def _push(url: str, totals: LiveTotals) -> OtlpPush:
    from runner.outputs.otlp import OtlpPush

    return OtlpPush(url, totals)


def _serve(stack: ExitStack, totals: LiveTotals, options: OutputOptions) -> None:
    from runner.outputs.open_metrics import metrics_server

    assert options.metrics_port is not None
    url = stack.enter_context(metrics_server(totals, options.metrics_host, options.metrics_port))
    if not options.quiet or not options.metrics_port:
        say(f"metrics of this run, for Prometheus: {url}")
