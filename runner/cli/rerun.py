"""`runner execute ZIP`: what an archive holds run again, and held against it."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runner.core.errors import OutputError, UsageError
from runner.execution.pipeline import Job, Outcome
from runner.experiment.model import App, Configuration, DockerTopology, ExternalTopology
from runner.experiment.suggestions import harmless
from runner.experiment.trials import plan

if TYPE_CHECKING:
    from runner.archive.rerun import Again

_MOST_SHOWN: Final = 40
_WIDTH: Final = 60


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What the command line changes in a specification, or leaves out."""

    overrides: tuple[str, ...]
    configurations: tuple[str, ...]
    stages: tuple[str, ...]


def open_again(path: Path, base_dir: Path | None, narrowed: Narrowed) -> Again:
    """The archive, checked to the last number.

    Raises:
        UsageError: Something in it is to be changed.
        StoredRunError: It cannot be read.
        ArchiveDamaged: It is damaged or made up.
    """
    if any((narrowed.overrides, narrowed.configurations, narrowed.stages)):
        raise UsageError(
            f"{path} is run again as it is; --set, --configuration, --stage, --cross-check and --prove "
            "do not go with it",
            hint=f"take the specification out with `runner archive extract {path} FOLDER` and run that",
        )
    if base_dir is not None and not base_dir.is_dir():
        raise UsageError(f"--base-dir {base_dir} is no folder", hint="name the folder of the specification")
    from runner.archive.rerun import read_again

    return read_again(path, base_dir)


def job_of(again: Again, out: Path | None, *, authorized: bool, calibrate: bool, given: Path | None) -> Job:
    """The archive's run once more; that its own run was authorized counts for nothing.

    Args:
        again: The archive.
        out: The folder to write to, None for a new one under ``reports``.
        authorized: Whether ``--i-am-authorized`` was given now.
        calibrate: False when ``--no-calibrate`` was given now.
        given: What ``--base-dir`` was.
    """
    from runner.archive.files import SPEC
    from runner.experiment.load import read_spec

    begun, path = again.begun, again.archive.path
    experiment = read_spec(again.spec, source=f"{path}: {SPEC}", overrides=begun.run.overrides)
    words = ["runner", "execute", str(path)]
    words += ["--base-dir", str(given)] if given else []
    words += ["--i-am-authorized"] if authorized else []
    words += [] if calibrate else ["--no-calibrate"]
    return Job(
        experiment=experiment,
        trials=plan(experiment, configurations=begun.configurations, stages=begun.stages),
        spec=again.spec,
        spec_sha256=hashlib.sha256(again.spec).hexdigest(),
        base_dir=again.base_dir,
        out=out or default_folder(experiment.name),
        command=shlex.join(words),
        overrides=begun.run.overrides,
        authorized=authorized,
        calibrate=begun.calibrate and calibrate,
        configurations=begun.configurations,
        stages=begun.stages,
    )


def default_folder(name: str) -> Path:
    """Where a run of an experiment is written unless ``--out`` says otherwise."""
    return Path("reports") / name / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def show_again(again: Again, job: Job) -> None:
    """Say on stderr what is about to be started, and what is not as it was.

    Raises:
        EnvironmentLacks: A build folder is not found.
    """
    from runner.archive.rerun import differs_now

    run = again.results["run"]
    _say(f"{again.archive.path} is whole: run {run['id']}, SHA-256 {again.archive.identity}")
    for configuration in dict.fromkeys(trial.configuration.name for trial in job.trials):
        _say(f"{configuration}: {_starts(next(_named(job, configuration)))}")
    rows = differs_now(again)
    _say("not as it was:" if rows else "this host and its software are as they were")
    for row in rows[:_MOST_SHOWN]:
        _say(f"  {row['what']}: {_short(row['base'])} → {_short(row['head'])}")
    if len(rows) > _MOST_SHOWN:
        _say(f"  and {len(rows) - _MOST_SHOWN} more, in reproduction.md at the end")


def conclude_again(again: Again, outcome: Outcome, *, quiet: bool) -> bool:
    """Write the comparison with the archive and say what came of it; whether it is reproduced."""
    from runner.archive.rerun import REPRODUCTION, conclude
    from runner.cli import exit_codes
    from runner.report.reproduction import reproduced

    try:
        found = conclude(again, outcome.results, outcome.folder, outcome.archive)
    except OutputError as error:
        exit_codes.show_error(error)
        return False
    if not quiet:
        _say(reproduced(found))
        _say(f"The comparison with the archive: {outcome.folder / REPRODUCTION}.md")
    return bool(found["verdict"] == "reproduced")


def _named(job: Job, name: str) -> Iterator[Configuration]:
    return (trial.configuration for trial in job.trials if trial.configuration.name == name)


def _starts(configuration: Configuration) -> str:
    """What a configuration's topology makes this machine do, in words."""
    topology = configuration.topology
    if isinstance(topology, ExternalTopology):
        return f"load on {topology.url}"
    app = topology.app
    command = f" `{shlex.join(app.command)}`" if app.command else ""
    if not isinstance(topology, DockerTopology):
        return f"starts{command}{_variables(app)}"
    made = f"builds {app.build}" if app.build else f"takes the image {app.image}"
    return f"{made} and starts{command or ' it'} in a container{_variables(app)}"


def _variables(app: App) -> str:
    given = f" with {', '.join(app.env)} set" if app.env else ""
    return given + (f" and {', '.join(app.env_from)} passed on from your environment" if app.env_from else "")


def _short(text: str) -> str:
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _say(line: str) -> None:
    from runner.cli.terminal import say

    say(harmless(line), err=True)
