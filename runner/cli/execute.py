"""`runner execute`: the whole of an experiment, from YAML to report."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from runner.cli import exits
from runner.cli.specfile import SpecFile, read_spec_file
from runner.pipeline import Job, Outcome, Watcher
from runner.plan.trials import Trial, plan
from runner.stack.aim import check_configurations
from runner.stack.lock import host_lock

_DECIDES: Final = {"decides": True}
"""A stage that is no probe; of a search's probes only two carry its answer."""


@click.command()
@click.argument("spec", type=click.Path(path_type=Path))
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
@click.option("--no-lock", is_flag=True, help="Run even while another experiment runs on this machine.")
@click.option("--quiet", is_flag=True, help="Show nothing while it runs.")
def execute(
    spec: Path,
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
    no_lock: bool,
    quiet: bool,
) -> int:
    """Run the experiment in SPEC and write report.md and results.json."""
    if cross_check:
        overrides = (*overrides, "load.cross_check=true")
    if prove:
        overrides = (*overrides, "prove=true")
    file = read_spec_file(spec, overrides)
    trials = plan(file.experiment, configurations=configurations, stages=stages)
    if dry_run:
        _show_plan(trials)
        return exits.DONE
    chosen = {trial.configuration.name: trial.configuration for trial in trials}
    check_configurations(chosen.values(), authorized=authorized)
    job = Job(
        experiment=file.experiment,
        trials=trials,
        spec=file.content,
        spec_sha256=file.sha256,
        base_dir=spec.resolve().parent,
        out=out or _default_folder(file),
        command=_command(spec, overrides, configurations, stages, authorized=authorized),
        overrides=overrides,
        authorized=authorized,
        calibrate=not no_calibrate,
    )
    with nullcontext() if no_lock else host_lock(job.command):
        outcome = _run(job, quiet=quiet)
    _show_outcome(outcome, as_json=as_json, quiet=quiet)
    if outcome.signal:
        exits.die_of(outcome.signal)
    return _code(outcome)


def _run(job: Job, *, quiet: bool) -> Outcome:
    import trio

    from runner.pipeline import execute as run_pipeline

    with _watcher(quiet=quiet) as watcher:
        return trio.run(run_pipeline, job, watcher)


@contextmanager
def _watcher(*, quiet: bool) -> Iterator[Watcher]:
    from rich.console import Console
    from rich.live import Live

    from runner.cli.progress import LiveProgress, PlainProgress, QuietProgress

    console = Console(stderr=True, highlight=False)
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
    if not quiet:
        from runner.cli.summary import show_summary

        show_summary(outcome.results)
    if outcome.error:
        exits.show_error(outcome.error)
    if as_json:
        click.echo(json.dumps(outcome.results, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        click.echo(outcome.folder / "report.md")


def _code(outcome: Outcome) -> int:
    if outcome.error:
        return exits.code_for(outcome.error)
    ran = [stage for stage in _stages(outcome.results) if stage["status"] != "not-run"]
    if any(
        stage["validity"]["status"] == "invalid" for stage in ran if stage.get("find", _DECIDES)["decides"]
    ):
        return exits.INVALID_STAGE
    if not all(threshold["ok"] for stage in ran for threshold in stage["thresholds"]):
        return exits.THRESHOLD_FAILED
    return exits.DONE


def _stages(results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for configuration in results["configurations"]:
        yield from configuration["stages"]


def _default_folder(file: SpecFile) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return Path("reports") / file.experiment.name / stamp


def _command(
    spec: Path,
    overrides: Sequence[str],
    configurations: Sequence[str],
    stages: Sequence[str],
    *,
    authorized: bool,
) -> str:
    words = ["runner", "execute", str(spec)]
    for flag, values in (("--set", overrides), ("--configuration", configurations), ("--stage", stages)):
        for value in values:
            words += [flag, value]
    if authorized:
        words.append("--i-am-authorized")
    return shlex.join(words)
