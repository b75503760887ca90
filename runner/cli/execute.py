"""`runner execute`: the whole of an experiment, from YAML to report."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import click

from runner.archive.results_from import is_archive
from runner.cli import exit_codes
from runner.cli.rerun import Narrowed, conclude_again, default_folder, job_of, open_again, show_again
from runner.cli.specfile import read_spec_file
from runner.core.errors import UsageError
from runner.execution.pipeline import Job, Outcome, Watcher
from runner.experiment.trials import Trial, plan
from runner.stack.host_lock import host_lock
from runner.stack.target_policy import check_configurations
from runner.store.run_folder import SPEC

_DECIDES: Final = {"decides": True}
"""A stage that is no probe; of a search's probes only two carry its answer."""


@click.command()
@click.argument("spec", metavar="SPEC|ZIP", type=click.Path(path_type=Path), required=False)
@click.option("--out", type=click.Path(path_type=Path), help="Write here, not to reports/<name>/<time>.")
@click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Change a value of SPEC.")
@click.option("--configuration", "configurations", multiple=True, metavar="NAME", help="Run only this one.")
@click.option("--stage", "stages", multiple=True, metavar="NAME", help="Run only this stage.")
@click.option("--dry-run", is_flag=True, help="Say what would be run, and run nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print results.json on stdout.")
@click.option(
    "--i-am-authorized", "authorized", is_flag=True, help="Load may be put on the hosts in load.allow_hosts."
)
@click.option("--cross-check", is_flag=True, help="Run each stage with both engines, and compare them.")
@click.option("--prove", is_flag=True, help="Run the counter-experiment of each verdict.")
@click.option("--no-calibrate", is_flag=True, help="Do not measure the generator's own error first.")
@click.option(
    "--resume", type=click.Path(path_type=Path), metavar="DIR", help="Go on with a run that was cut short."
)
@click.option(
    "--base-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where relative paths of ZIP's specification start.",
)
@click.option(
    "--fail-unless-reproduced", is_flag=True, help="Exit with code 99 when ZIP's numbers do not come out."
)
@click.option("--no-lock", is_flag=True, help="Run even while another experiment runs on this machine.")
@click.option("--quiet", is_flag=True, help="Show nothing while it runs.")
def execute(
    spec: Path | None,
    out: Path | None,
    overrides: tuple[str, ...],
    configurations: tuple[str, ...],
    stages: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
    authorized: bool,
    cross_check: bool,
    prove: bool,
    no_calibrate: bool,
    resume: Path | None,
    base_dir: Path | None,
    fail_unless_reproduced: bool,
    no_lock: bool,
    quiet: bool,
) -> int:
    """Run the experiment in SPEC and write report.md and results.json.

    With --resume DIR instead of SPEC: go on with the run in DIR; what is complete is not run again. With
    ZIP, the archive of a run: check it, run the same again, and say whether it is reproduced. That starts
    the commands in it; --dry-run shows them.
    """
    if cross_check:
        overrides = (*overrides, "load.cross_check=true")
    if prove:
        overrides = (*overrides, "prove=true")
    narrowed = Narrowed(overrides, configurations, stages)
    again = None
    if resume:
        given = overrides or configurations or stages or authorized or no_calibrate or base_dir
        _refuse_beside_resume(spec or out or given or fail_unless_reproduced)
        job = _resumed(resume)
        if whole := _whole(job):
            click.echo(f"the run in {resume} is complete: there is nothing to go on with", err=True)
            _show_outcome(whole, as_json=as_json, quiet=quiet)
            return _code(whole)
    elif spec is not None and is_archive(spec):
        again = open_again(spec, base_dir, narrowed)
        job = job_of(again, out, authorized=authorized, calibrate=not no_calibrate, given=base_dir)
    else:
        if base_dir or fail_unless_reproduced:
            raise click.UsageError("--base-dir and --fail-unless-reproduced go with the archive of a run")
        job = _new_job(_given(spec), out, narrowed, authorized=authorized, calibrate=not no_calibrate)
    if again and not quiet:
        show_again(again, job)
    if dry_run:
        _show_plan(job.trials)
        return exit_codes.DONE
    chosen = {trial.configuration.name: trial.configuration for trial in job.trials}
    check_configurations(chosen.values(), authorized=job.authorized)
    with nullcontext() if no_lock else host_lock(job.command):
        outcome = _run(job, quiet=quiet)
    _show_outcome(outcome, as_json=as_json, quiet=quiet)
    reproduced = conclude_again(again, outcome, quiet=quiet) if again else True
    if outcome.signal:
        exit_codes.die_of(outcome.signal)
    code = _code(outcome)
    return exit_codes.THRESHOLD_FAILED if fail_unless_reproduced and not (reproduced or code) else code


def _given(spec: Path | None) -> Path:
    if spec is None:
        raise click.UsageError("give the path of a specification, or --resume with the folder of a run")
    return spec


def _refuse_beside_resume(given: object) -> None:
    if given:
        raise click.UsageError(
            "--resume goes on with the run as it was begun: "
            "only --dry-run, --json, --quiet and --no-lock go with it"
        )


def _new_job(spec: Path, out: Path | None, narrowed: Narrowed, *, authorized: bool, calibrate: bool) -> Job:
    file = read_spec_file(spec, narrowed.overrides)
    return Job(
        experiment=file.experiment,
        trials=plan(file.experiment, configurations=narrowed.configurations, stages=narrowed.stages),
        spec=file.content,
        spec_sha256=file.sha256,
        base_dir=spec.resolve().parent,
        out=out or default_folder(file.experiment.name),
        command=_command(spec, narrowed, authorized=authorized, calibrate=calibrate),
        overrides=narrowed.overrides,
        authorized=authorized,
        calibrate=calibrate,
        configurations=narrowed.configurations,
        stages=narrowed.stages,
    )


def _resumed(folder: Path) -> Job:
    """The job of a run that was cut short."""
    from runner.observe.environment import environment
    from runner.store.run_file import other_host, read_earlier

    earlier = read_earlier(folder)
    begun = earlier.begun
    if differences := other_host(begun, environment()):
        raise UsageError(
            f"the run in {folder} was begun on another machine ({'; '.join(differences)})",
            hint="numbers of two machines do not belong into one report: run it anew",
        )
    file = read_spec_file(folder / SPEC, begun.run.overrides)
    return Job(
        experiment=file.experiment,
        trials=plan(file.experiment, configurations=begun.configurations, stages=begun.stages),
        spec=file.content,
        spec_sha256=file.sha256,
        base_dir=(folder / begun.base_dir).resolve(),
        out=folder,
        command=begun.run.command,
        overrides=begun.run.overrides,
        authorized=begun.authorized,
        calibrate=begun.calibrate,
        configurations=begun.configurations,
        stages=begun.stages,
        earlier=earlier,
    )


def _whole(job: Job) -> Outcome | None:
    """How a run ended that is to be gone on with although nothing of it is missing; None for any other."""
    from runner.core.errors import StoredRunError
    from runner.execution.pipeline import Outcome
    from runner.store.results_file import read_results

    if job.earlier is None or job.earlier.begun.run.finished_at is None:
        return None
    try:
        results = read_results(job.out)
    except StoredRunError:
        return None
    stages = [stage for each in results["configurations"] for stage in each["stages"]]
    ended = results["run"]["status"] == "complete" and all(each["status"] == "complete" for each in stages)
    archive = next(iter(sorted(job.out.glob(f"*-{results['run']['id']}.zip"))), None)
    return Outcome(results, job.out, archive, None, None) if ended else None


def _run(job: Job, *, quiet: bool) -> Outcome:
    import trio

    from runner.execution.pipeline import execute as run_pipeline

    with _watcher(quiet=quiet) as watcher:
        return trio.run(run_pipeline, job, watcher)


@contextmanager
def _watcher(*, quiet: bool) -> Iterator[Watcher]:
    from rich.live import Live

    from runner.cli.progress import LiveProgress, PlainProgress, QuietProgress
    from runner.cli.terminal import Screen

    console = Screen()
    if quiet:
        yield QuietProgress()
    elif not console.is_terminal or console.is_dumb_terminal:
        yield PlainProgress(console)
    else:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            yield LiveProgress(console, live)


def _show_plan(trials: Sequence[Trial]) -> None:
    total = 0.0
    for trial in trials:
        stage = trial.stage
        total += (stage.warmup + stage.duration) * trial.orders
        at_most = f"at most {trial.orders} probes of up to " if trial.find else ""
        click.echo(
            f"{trial.order + 1:3}. {trial.configuration.name} · {stage.name}: {at_most}{stage.rps:,g} RPS "
            f"for {stage.duration:g} s after {stage.warmup:g} s of warm-up "
            f"({trial.configuration.topology.kind}, {trial.configuration.load.engine}, "
            f"{trial.configuration.load.connection} connections"
            f"{', cross-check' if trial.cross_check else ''})"
        )
    total += sum(trial.configuration.cooldown * trial.orders for trial in trials)
    total -= trials[-1].configuration.cooldown if trials else 0
    searches = any(trial.find for trial in trials)
    click.echo(f"{len(trials)} trials, {'at most' if searches else 'about'} {total:.0f} s")


def _show_outcome(outcome: Outcome, *, as_json: bool, quiet: bool) -> None:
    """The result on stdout, everything for people on stderr."""
    from runner.cli.terminal import say

    if not quiet:
        from runner.cli.summary import show_summary

        show_summary(outcome.results)
        say(f"With charts, for a browser: {outcome.folder / 'report.html'}", err=True)
        if outcome.archive:
            say(f"All of it in one file: {outcome.archive}", err=True)
    if outcome.error:
        exit_codes.show_error(outcome.error)
    if as_json:
        say(json.dumps(outcome.results, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        say(outcome.folder / "report.md")


def _code(outcome: Outcome) -> int:
    if outcome.error:
        return exit_codes.code_for(outcome.error)
    ran = [stage for stage in _stages(outcome.results) if stage["status"] != "not-run"]
    if any(
        stage["validity"]["status"] == "invalid" for stage in ran if stage.get("find", _DECIDES)["decides"]
    ):
        return exit_codes.INVALID_STAGE
    if not all(threshold["ok"] for stage in ran for threshold in stage["thresholds"]):
        return exit_codes.THRESHOLD_FAILED
    return exit_codes.DONE


def _stages(results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for configuration in results["configurations"]:
        yield from configuration["stages"]


def _command(spec: Path, narrowed: Narrowed, *, authorized: bool, calibrate: bool) -> str:
    words = ["runner", "execute", str(spec)]
    for flag, values in (
        ("--set", narrowed.overrides),
        ("--configuration", narrowed.configurations),
        ("--stage", narrowed.stages),
    ):
        for value in values:
            words += [flag, value]
    words += ["--i-am-authorized"] if authorized else []
    words += [] if calibrate else ["--no-calibrate"]
    return shlex.join(words)
