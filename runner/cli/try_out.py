"""`runner try`: send each request or scenario once, and show what came back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from runner.cli import exit_codes, try_text
from runner.cli.output import answer, say

if TYPE_CHECKING:
    from runner.analyze.search_progress import SearchProgress
    from runner.core.facts import RunFacts, TrialFacts
    from runner.core.live import RunStatus
    from runner.core.load_facts import LoadSecond
    from runner.core.observed_facts import Sample, Subject
    from runner.execution.attempts import Attempt
    from runner.execution.job import Job
    from runner.execution.try_out import Tried
    from runner.execution.try_result import TriedRequest
    from runner.experiment.trials import Trial

_SHOWN_TIMES: Final = 2
"""How often the same step is shown with both messages; after that, with one line."""
_MAX_REQUESTS: Final = 500
_OUTPUT_LINES: Final = 20


@click.command("try")
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("--only", multiple=True, metavar="NAME", help="Try only this scenario or request.")
@click.option(
    "--configuration", "configurations", multiple=True, metavar="NAME", help="Try only this configuration."
)
@click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Change a value of SPEC.")
@click.option("--full", is_flag=True, help="Show requests and responses up to 64 KiB, not their beginning.")
@click.option("--no-pauses", is_flag=True, help="Do not wait in the pauses of scenarios.")
@click.option("--quiet", is_flag=True, help="Show only what failed.")
@click.option(
    "--i-am-authorized",
    "authorized",
    is_flag=True,
    help="Confirm that you may send requests to the hosts in load.allow_hosts.",
)
def try_out(
    spec: Path,
    only: tuple[str, ...],
    configurations: tuple[str, ...],
    overrides: tuple[str, ...],
    full: bool,
    no_pauses: bool,
    quiet: bool,
    authorized: bool,
) -> int:
    """Send each request or scenario of SPEC once, without load, and show what came back.

    Starts the system and runs the hooks as `runner execute` does. Shows requests, responses, checks and
    extracted values, with secrets masked. Nothing is measured, and no report is written.

    Exit codes: 0 all passed, 99 a check or an extract failed, 3 it could not be tried, such as when the
    system did not start.
    """
    import trio

    from runner.cli.jobs import Selection, Switches, new_job
    from runner.execution.try_out import try_out as run
    from runner.stack.target_policy import check_configurations

    switches = Switches(authorized, calibrate=False, preflight=False)
    job = new_job(spec, Selection(overrides, configurations), switches, out=None)
    check_configurations(
        {trial.configuration.name: trial.configuration for trial in job.trials}.values(),
        authorized=authorized,
    )
    printer = _Printer(full=full, quiet=quiet)
    tried = trio.run(lambda: run(job, only, pauses=not no_pauses, watcher=printer))
    return _conclude(tried, printer)


def _conclude(tried: Tried, printer: _Printer) -> int:
    count = len(tried.passed) + len(tried.failed)
    printer.end_paragraph()
    if tried.unreached:
        answer(f"not tried, because their conditions did not hold: {', '.join(tried.unreached)}")
        printer.end_paragraph()
    if not tried.failed:
        answer(f"{count} of {count}", label="passed:", colour="green")
        return exit_codes.DONE
    names = ", ".join(f"{attempt.configuration.name} · {attempt.title}" for attempt in tried.failed)
    answer(f"{len(tried.failed)} of {count}: {names}", label="failed:", colour="red")
    if tried.logs:
        say(f"the output of the system is in {tried.logs}")
    return exit_codes.THRESHOLD_FAILED


class _Printer:
    """Prints what happens, as it happens: messages about the system to stderr, all else to stdout."""

    def __init__(self, *, full: bool, quiet: bool) -> None:
        self._full, self._quiet = full, quiet
        self._number = 0
        self._has_printed = False
        self._heading = ""
        self._times: dict[str, int] = {}

    def attempt_begins(self, attempt: Attempt) -> None:
        """Print what is tried."""
        self._number, self._times = 0, {}
        self._heading = f"{attempt.configuration.name} · {attempt.title}"
        if not self._quiet:
            self._print_heading()

    def _print_heading(self) -> None:
        """Print what is tried, once."""
        if self._heading:
            self.end_paragraph()
            answer(self._heading)
            self._heading, self._has_printed = "", True

    def end_paragraph(self) -> None:
        """Print an empty line, unless nothing was printed before."""
        if self._has_printed:
            answer("")

    def step_begins(self, text: str) -> None:
        """Print a step that sends nothing."""
        if not self._quiet and self._number <= _MAX_REQUESTS:
            answer(f"   {text}")

    def request_ends(self, request: TriedRequest) -> None:
        """Print a request, its response, checks and values."""
        self._number += 1
        times = self._times[request.step] = self._times.get(request.step, 0) + 1
        if request.problem:
            self._print(request)
        elif self._quiet or self._number > _MAX_REQUESTS:
            if not self._quiet and self._number == _MAX_REQUESTS + 1:
                answer("further requests are shown only if they fail")
        elif self._full or times <= _SHOWN_TIMES:
            self._print(request)
        else:
            answer(f"{try_text.title(request, self._number)}, passed", *try_text.values(request))

    def _print(self, request: TriedRequest) -> None:
        self._print_heading()
        lines = (*try_text.messages(request, full=self._full), *try_text.values(request))
        answer("", try_text.title(request, self._number), *lines)
        if not request.problem:
            answer(request.checked, label="  passed:", colour="green")
            return
        answer(request.problem, label="  failed:", colour="red")
        if request.advice:
            answer(request.advice, label="  hint:", colour="cyan")

    def attempt_ends(self, failed: bool, app_output: Sequence[str]) -> None:
        """Print what the app wrote meanwhile, if something failed."""
        if failed and app_output:
            answer("", "the app's last output:", *(f"  {line}" for line in app_output[-_OUTPUT_LINES:]))

    def say(self, line: str) -> None:
        """Print a message about the system."""
        if not self._quiet:
            say(line)

    def run_begins(self, job: Job, run: RunFacts) -> None:
        """Do nothing: there is no run."""

    def trials_planned(self, trials: Sequence[Trial], total: int) -> None:
        """Do nothing: there are no trials."""

    def search_goes_on(self, search: SearchProgress) -> None:
        """Do nothing: there are no trials."""

    def load_ends(self) -> None:
        """Print nothing."""

    def run_ends(self, status: RunStatus, reason: str) -> None:
        """Do nothing: there is no run."""

    def trial_begins(self, trial: Trial, total: int) -> None:
        """Print nothing: no trial runs."""

    def trial_ends(self, facts: TrialFacts) -> None:
        """Print nothing: no trial runs."""

    def second(self, second: LoadSecond) -> None:
        """Print nothing: no load is offered."""

    def sample(self, sample: Sample, subjects: tuple[Subject, ...]) -> None:
        """Print nothing: nothing is observed."""
