"""What `runner execute` runs: a new experiment, an interrupted run, or the experiment in an archive."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from runner.cli.specfile import SpecFile, parse_spec, read_spec_file
from runner.core.errors import UsageError
from runner.execution.job import Job
from runner.experiment.trials import plan
from runner.store.run_file import ResumePoint, RunFile, host_differences, read_resume_point
from runner.store.run_folder import SPEC

if TYPE_CHECKING:
    from runner.archive.rerun import Rerun


@dataclass(frozen=True, slots=True)
class Selection:
    """What the command line changes in a specification, and which part of it to run; empty for all.

    Attributes:
        overrides: ``path=value`` of every ``--set``.
        configurations: Names.
        stages: Names.
    """

    overrides: tuple[str, ...] = ()
    configurations: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any((self.overrides, self.configurations, self.stages))

    def words(self) -> Iterator[str]:
        """Return the options that select the same."""
        for option, values in (
            ("--set", self.overrides),
            ("--configuration", self.configurations),
            ("--stage", self.stages),
        ):
            for value in values:
                yield from (option, value)


@dataclass(frozen=True, slots=True)
class Switches:
    """Options that allow something, or leave something out.

    Attributes:
        authorized: Whether ``--i-am-authorized`` is given.
        calibrate: False with ``--no-calibrate``.
        preflight: False with ``--no-preflight``.
    """

    authorized: bool
    calibrate: bool
    preflight: bool

    def words(self) -> Iterator[str]:
        """Return the options that mean the same."""
        for option, is_given in (
            ("--i-am-authorized", self.authorized),
            ("--no-calibrate", not self.calibrate),
            ("--no-preflight", not self.preflight),
        ):
            if is_given:
                yield option


def new_job(spec: Path, selection: Selection, switches: Switches, *, out: Path | None) -> Job:
    """Return the job of a specification's first run."""
    return _job(
        read_spec_file(spec, selection.overrides),
        selection,
        switches,
        base_dir=spec.resolve().parent,
        out=out,
        command=_command(spec, *selection.words(), *switches.words()),
    )


def resumed_job(folder: Path) -> Job:
    """Return the job that completes an interrupted run.

    Raises:
        UsageError: The run was started on another machine, or with another specification.
        StoredRunError: There is no run in the folder.
    """
    from runner.observe.environment import environment

    earlier = read_resume_point(folder)
    run_file = earlier.run_file
    if differences := host_differences(run_file, environment()):
        raise UsageError(
            f"the run in {folder} was started on another machine ({'; '.join(differences)})",
            hint="A report cannot mix results from two machines. Start a new run instead of resuming.",
        )
    base_dir = (folder / run_file.base_dir).resolve()
    spec = read_spec_file(folder / SPEC, run_file.run.overrides, base_dir=base_dir)
    if run_file.spec_sha256 and run_file.spec_sha256 != spec.sha256:
        raise UsageError(
            f"{folder / SPEC} was changed after the run was started",
            hint="A report cannot mix results of two specifications. Undo the change, or start a new run.",
        )
    return _job(
        spec,
        _selection(run_file),
        Switches(run_file.authorized, run_file.calibrate, run_file.preflight),
        base_dir=base_dir,
        out=folder,
        command=run_file.run.command,
        commands_in=(folder / run_file.commands_in).resolve() if run_file.commands_in else None,
        earlier=earlier,
    )


def rerun_job(rerun: Rerun, switches: Switches, *, out: Path | None, base_dir: Path | None) -> Job:
    """Return the job that repeats an archive's run; the authorization of that run does not carry over.

    Args:
        rerun: The archive.
        switches: Those given now; what the archived run left out is left out again.
        out: The folder to write to; None for a new one under ``reports``.
        base_dir: The value of ``--base-dir``.
    """
    run_file, path = rerun.run_file, rerun.archive.path
    more = ["--base-dir", str(base_dir)] if base_dir else []
    return _job(
        parse_spec(rerun.spec, f"{path}: {SPEC}", run_file.run.overrides),
        _selection(run_file),
        replace(
            switches,
            calibrate=run_file.calibrate and switches.calibrate,
            preflight=run_file.preflight and switches.preflight,
        ),
        base_dir=rerun.base_dir,
        out=out,
        command=_command(path, *more, *switches.words()),
        commands_in=rerun.base_dir if base_dir else None,
    )


def _job(
    spec: SpecFile,
    selection: Selection,
    switches: Switches,
    *,
    base_dir: Path,
    out: Path | None,
    command: str,
    commands_in: Path | None = None,
    earlier: ResumePoint | None = None,
) -> Job:
    return Job(
        experiment=spec.experiment,
        trials=plan(spec.experiment, configurations=selection.configurations, stages=selection.stages),
        spec=spec.content,
        spec_sha256=spec.sha256,
        base_dir=base_dir,
        out=out or _new_folder(spec.experiment.name),
        command=command,
        overrides=selection.overrides,
        authorized=switches.authorized,
        calibrate=switches.calibrate,
        preflight=switches.preflight,
        configurations=selection.configurations,
        stages=selection.stages,
        commands_in=commands_in,
        earlier=earlier,
    )


def _selection(run_file: RunFile) -> Selection:
    return Selection(run_file.run.overrides, run_file.configurations, run_file.stages)


def _new_folder(name: str) -> Path:
    return Path("reports") / name / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def _command(path: Path, *options: str) -> str:
    return shlex.join(["runner", "execute", str(path), *options])
