"""`runner execute`: a whole experiment, from YAML to report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli import exit_codes
from runner.cli.output import answer, is_capable_terminal, lost_output, say
from runner.cli.resource_faults import check_limits
from runner.cli.streams import hardly_waiting, limit_waiting

if TYPE_CHECKING:
    from runner.archive.rerun import Rerun
    from runner.cli.jobs import Selection, Switches
    from runner.cli.live_page import LivePage
    from runner.cli.run_outputs import OutputOptions, RunOutputs
    from runner.execution.job import Job, Outcome, Watcher
    from runner.experiment.trials import Trial

_PATH = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Options:
    """The command line."""

    spec: Path | None
    out: Path | None
    overrides: tuple[str, ...]
    configurations: tuple[str, ...]
    stages: tuple[str, ...]
    dry_run: bool
    as_json: bool
    authorized: bool
    cross_check: bool
    prove: bool
    no_calibrate: bool
    no_preflight: bool
    resume: Path | None
    base_dir: Path | None
    fail_unless_reproduced: bool
    no_lock: bool
    quiet: bool
    live: bool
    live_port: int | None
    metrics_port: int | None
    metrics_host: str
    otlp: str | None

    @property
    def selection(self) -> Selection:
        from runner.cli.jobs import Selection

        overrides = list(self.overrides)
        overrides += ["load.cross_check=true"] if self.cross_check else []
        overrides += ["prove=true"] if self.prove else []
        return Selection(tuple(overrides), self.configurations, self.stages)

    @property
    def outputs(self) -> OutputOptions:
        from runner.cli.run_outputs import OutputOptions

        return OutputOptions(
            metrics_port=self.metrics_port,
            metrics_host=self.metrics_host,
            otlp=self.otlp,
            quiet=self.quiet,
        )

    @property
    def switches(self) -> Switches:
        from runner.cli.jobs import Switches

        return Switches(self.authorized, not self.no_calibrate, not self.no_preflight)


@click.command()
@click.argument("spec", metavar="SPEC|ZIP", type=_PATH, required=False)
@click.option("--out", type=_PATH, metavar="DIR", help="Write to DIR, not to reports/<name>/<time>.")
@click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Change a value of SPEC.")
@click.option(
    "--configuration", "configurations", multiple=True, metavar="NAME", help="Run only this configuration."
)
@click.option("--stage", "stages", multiple=True, metavar="NAME", help="Run only this stage.")
@click.option("--dry-run", is_flag=True, help="Show what would run, and run nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print results.json on stdout.")
@click.option(
    "--i-am-authorized",
    "authorized",
    is_flag=True,
    help="Confirm that you may send load to the hosts in load.allow_hosts.",
)
@click.option("--cross-check", is_flag=True, help="Run each stage with both engines, and compare them.")
@click.option("--prove", is_flag=True, help="Run the counter-experiment of each verdict.")
@click.option("--no-calibrate", is_flag=True, help="Do not measure the generator's own error first.")
@click.option("--no-preflight", is_flag=True, help="Do not send and check one request first.")
@click.option("--resume", type=_PATH, metavar="DIR", help="Complete the interrupted run in DIR.")
@click.option(
    "--base-dir",
    type=_PATH,
    metavar="DIR",
    help="Folder that relative paths in the specification of ZIP start from, and that its commands run in.",
)
@click.option(
    "--fail-unless-reproduced",
    is_flag=True,
    help="Exit with code 99 if the results of ZIP are not reproduced, and with 4 if the data cannot tell.",
)
@click.option("--no-lock", is_flag=True, help="Run even if another experiment runs on this machine.")
@click.option("--quiet", is_flag=True, help="Do not show the progress and the summary.")
@click.option("--live", is_flag=True, help="Show the run in a browser while it lasts.")
@click.option(
    "--live-port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="Port of --live, which it implies.  [default: any free one]",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Serve the metrics of the run to Prometheus on PORT while it runs; 0 for any free one.",
)
@click.option(
    "--metrics-host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where they are served."
)
@click.option(
    "--otlp",
    metavar="URL",
    help="Push metrics and spans of the run to an OpenTelemetry collector (OTLP/HTTP).",
)
def execute(**options: Any) -> int:  # click passes exactly the fields of _Options
    """Run the experiment in SPEC and write report.md and results.json.

    With --resume DIR instead of SPEC, complete the interrupted run in DIR; complete stages are not run
    again. With ZIP, the archive of a run, check the archive, repeat the run, and show whether the results
    are reproduced. This starts the commands in the archive, and shows them first; --dry-run only shows them.
    """
    return _execute(_Options(**options))


def _execute(options: _Options) -> int:
    limit_waiting()
    rerun = _rerun_of(options)
    job = _job_of(options, rerun)
    if complete := _complete_run(job):
        say(f"the run in {job.out} is complete: there is nothing to resume")
        return _conclude(complete, None, options)
    if rerun:
        from runner.cli.rerun import show_rerun

        show_rerun(rerun, job, quiet=options.quiet)
    if options.dry_run:
        if not rerun:  # of an archive they are shown already
            _show_hooks(job)
        _show_plan(job.trials)
        return exit_codes.DONE
    from runner.cli.run_outputs import run_outputs

    with run_outputs(options.outputs) as outputs:
        outcome = _run(job, options, outputs)
        outputs.finish(outcome.results)
        return _conclude(outcome, rerun, options)


def _rerun_of(options: _Options) -> Rerun | None:
    """Return the archive to run again, checked; None when a specification or a folder is given."""
    from runner.archive.results_from import is_archive

    if options.resume or options.spec is None or not is_archive(options.spec):
        return None
    from runner.cli.rerun import open_rerun

    return open_rerun(options.spec, options.base_dir, options.selection)


def _job_of(options: _Options, rerun: Rerun | None) -> Job:
    from runner.cli.jobs import new_job, rerun_job, resumed_job

    if rerun:
        return rerun_job(rerun, options.switches, out=options.out, base_dir=options.base_dir)
    if options.resume:
        _check_options_of_resume(options)
        return resumed_job(options.resume)
    if options.base_dir or options.fail_unless_reproduced:
        raise click.UsageError("--base-dir and --fail-unless-reproduced need the archive of a run")
    if options.spec is None:
        raise click.UsageError("give the path of a specification, or --resume with the folder of a run")
    return new_job(options.spec, options.selection, options.switches, out=options.out)


def _check_options_of_resume(options: _Options) -> None:
    if any(
        (
            options.spec,
            options.out,
            options.selection,
            options.authorized,
            options.no_calibrate,
            options.no_preflight,
            options.base_dir,
            options.fail_unless_reproduced,
        )
    ):
        raise click.UsageError(
            "--resume continues a run with the options that it was started with: it can only be combined "
            "with --dry-run, --json, --quiet, --no-lock, --live, --metrics-port and --otlp"
        )


def _complete_run(job: Job) -> Outcome | None:
    """Return how a run ended that is to be resumed although it is complete; None for any other."""
    from runner.core.codes import StageStatus
    from runner.core.errors import StoredRunError
    from runner.execution.job import Outcome
    from runner.store.results_file import read_results

    if job.earlier is None or not job.earlier.run_file.run.is_finished:
        return None
    try:
        results = read_results(job.out)
    except StoredRunError:
        return None
    stages = (stage for configuration in results.configurations for stage in configuration.stages)
    if results.run.status != "complete" or any(stage.status is not StageStatus.COMPLETE for stage in stages):
        return None
    archive = next(iter(sorted(job.out.glob(f"*-{results.run.id}.zip"))), None)
    return Outcome(results, job.out, archive, None, None)


def _run(job: Job, options: _Options, outputs: RunOutputs) -> Outcome:
    import gc

    import trio

    check_limits()
    from runner.execution.live_feed import LiveFeed, Watchers
    from runner.execution.pipeline import execute as run_pipeline
    from runner.stack.host_lock import host_lock
    from runner.stack.target_policy import check_configurations
    from runner.store.live_file import LiveFile

    gc.enable()
    configurations = {trial.configuration.name: trial.configuration for trial in job.trials}
    check_configurations(configurations.values(), authorized=job.authorized)
    with (
        nullcontext() if options.no_lock else host_lock(job.command),
        hardly_waiting(),
        _live_page(job, options) as page,
        _watcher(quiet=options.quiet) as terminal,
    ):
        if page:
            page.tell_of_its_end(say if options.quiet else terminal.say)
        feed = LiveFeed(LiveFile(job.out), *outputs.sinks, on_lost=terminal.say)
        helpers = (page.pid,) if page else ()
        return trio.run(
            run_pipeline, replace(job, helpers=helpers), Watchers(terminal, feed, *outputs.watchers)
        )


@contextmanager
def _live_page(job: Job, options: _Options) -> Iterator[LivePage | None]:
    """Provide the page that shows the run in a browser, if that is wanted."""
    if not options.live and options.live_port is None:
        yield None
        return
    from runner.cli.live_page import live_page

    with live_page(job.out, options.live_port or 0) as page:
        yield page


@contextmanager
def _watcher(*, quiet: bool) -> Iterator[Watcher]:
    from rich.live import Live

    from runner.cli.progress import LiveProgress, PlainProgress, QuietProgress
    from runner.cli.terminal import screen

    console = screen()
    if quiet:
        yield QuietProgress()
    elif not console.is_terminal or not is_capable_terminal():
        yield PlainProgress(console)
    else:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield LiveProgress(console, live)


def _show_hooks(job: Job) -> None:
    from runner.cli.rerun import hook_lines
    from runner.experiment.suggestions import harmless

    configurations = {trial.configuration.name: trial.configuration for trial in job.trials}
    for configuration in configurations.values():
        for line in hook_lines(configuration, job):
            answer(harmless(line))


def _show_plan(trials: Sequence[Trial]) -> None:
    from runner.cli.requests_text import lines_of

    for name, load in {one.configuration.name: one.configuration.load for one in trials}.items():
        answer(f"{name} sends:")
        for line in lines_of(load):
            answer(f"     {line}")
    total_s = 0.0
    for trial in trials:
        stage = trial.stage
        total_s += (stage.warmup + stage.duration) * trial.orders
        at_most = f"at most {trial.orders} probes of up to " if trial.find else ""
        answer(
            f"{trial.order + 1:3}. {trial.configuration.name} · {stage.name}: {at_most}{stage.level} "
            f"for {stage.duration:g} s after {stage.warmup:g} s of warm-up "
            f"({trial.configuration.topology.kind}, {trial.configuration.load.engine}, "
            f"{trial.configuration.load.connection} connections"
            f"{', cross-check' if trial.cross_check else ''})"
        )
        for sentence in _too_long(trial):
            answer(f"     {sentence}")
    total_s += sum(trial.configuration.cooldown * trial.orders for trial in trials)
    total_s -= trials[-1].configuration.cooldown if trials else 0
    searches = any(trial.find for trial in trials)
    number = "1 trial" if len(trials) == 1 else f"{len(trials)} trials"
    answer(f"{number}, {'at most' if searches else 'about'} {total_s:.0f} s{_time_for_users(trials)}")
    _show_counter_experiments(trials)


def _too_long(trial: Trial) -> Iterator[str]:
    """Yield what users cannot complete in a trial."""
    if trial.configuration.load.scenarios:
        from runner.experiment.scenario_stages import too_long

        yield from too_long(trial.configuration.load, trial.stage)


def _time_for_users(trials: Sequence[Trial]) -> str:
    """Return how much longer trials take in which users are under way when a stage ends."""
    waits_s = [trial.configuration.load.timeout for trial in trials if trial.configuration.load.scenarios]
    if not waits_s:
        return ""
    return f", and up to {sum(waits_s):g} s more for users who are under way when a stage ends"


def _show_counter_experiments(trials: Sequence[Trial]) -> None:
    """Show how long counter-experiments take, which depends on the verdicts."""
    from runner.analyze.proof_plan import MAX_CHANGES, can_be_tested
    from runner.experiment.proof_blocks import BLOCKS, block_seconds

    tested = [trial for trial in trials if can_be_tested(trial)]
    if not tested:
        return
    each_s = [block_seconds(trial.configuration, trial.stage) for trial in tested]
    seconds = f"{min(each_s):.0f} to {max(each_s):.0f}" if min(each_s) != max(each_s) else f"{each_s[0]:.0f}"
    answer(
        f"then up to {MAX_CHANGES} counter-experiments for each of {len(tested)} stages that reaches a "
        f"limit, each of {BLOCKS} blocks: {seconds} s in all, and {BLOCKS} starts of the stack if the change "
        "needs another one"
    )


def _conclude(outcome: Outcome, rerun: Rerun | None, options: _Options) -> int:
    """Show the outcome and return the exit code, or end by the signal that ended the run."""
    from runner.cli.outcome import exit_code, show_outcome

    show_outcome(outcome, as_json=options.as_json, quiet=options.quiet)
    reproduced = exit_codes.DONE
    if rerun:
        from runner.cli.rerun import conclude_rerun

        reproduced = conclude_rerun(rerun, outcome, quiet=options.quiet)
    if lost := lost_output():
        exit_codes.show_error(lost)  # but the run's exit code stays: its results are on disk
    if outcome.signal:
        exit_codes.die_of(outcome.signal)
    code = exit_code(outcome)
    if options.fail_unless_reproduced and code == exit_codes.DONE:
        return reproduced
    return code
