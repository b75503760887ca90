"""run.json: what a run needs to resume after a crash, and how it ended.

Written before the first trial and again at the end. Its paths are relative to the run's folder, so that it
reveals nothing about the machine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from runner.core.errors import StoredRunError
from runner.core.facts import RunFacts, TrialFacts
from runner.experiment.suggestions import harmless
from runner.store.bounded_read import MAX_RUN_FILE, NotReadable, read_bounded
from runner.store.journal import read
from runner.store.json_text import encode_json
from runner.store.run_names import JOURNAL as JOURNAL  # noqa: PLC0414  (given on)
from runner.store.run_names import RUN as RUN  # noqa: PLC0414

SCHEMA_VERSION: Final = 1

_MAX_SHOWN: Final = 200
_SAME_HOST: Final = ("cpu_model", "cpu_count", "machine", "hypervisor")
"""If one of these differs, a report would mix results from two machines."""


StoredPath: TypeAlias = Annotated[str, Meta(max_length=4096, pattern="^[^\\x00]*$")]
"""A path that the system can have."""


class RunFile(Struct, frozen=True):
    """How a run was started.

    Attributes:
        run: The run at the time of writing; finished when the run is.
        base_dir: Where the specification's relative paths start, relative to the run's folder.
        configurations: Names of the configurations that were selected; empty for all.
        stages: Names of the stages that were selected; empty for all.
        authorized: Whether load may be sent to hosts that the specification allows.
        calibrate: Whether the generator is calibrated first.
        preflight: Whether one request of each configuration is checked first.
        commands_in: Where commands start, relative to the run's folder; absent for the current directory.
        spec_sha256: Of the specification byte for byte, which may not change until the run is resumed; absent
            in files of Loadproof before 0.2.0.
    """

    run: RunFacts
    base_dir: StoredPath
    configurations: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    authorized: bool = False
    calibrate: bool = True
    preflight: bool = True
    commands_in: StoredPath | UnsetType = UNSET
    spec_sha256: str | UnsetType = UNSET

    def to_json(self) -> bytes:
        """Return the file's content."""
        content = {"schema_version": SCHEMA_VERSION} | msgspec.to_builtins(self)
        return msgspec.json.format(encode_json(content), indent=1) + b"\n"


class ResumePoint(Struct, frozen=True):
    """A run that was interrupted.

    Attributes:
        run_file: How it was started.
        trials: Those that are complete; they are not run again.
        lines: Complete lines of its journal.
    """

    run_file: RunFile
    trials: tuple[TrialFacts, ...]
    lines: int


def parse_run_file(content: bytes, source: str) -> RunFile:
    """Return the content of run.json.

    Raises:
        StoredRunError: It is damaged or from another version.
    """
    try:
        version = msgspec.json.decode(content, type=_Versioned).schema_version
        if version != SCHEMA_VERSION:
            raise StoredRunError(
                f"{source} was written by another version of Loadproof "
                f"(schema version {version}; this version reads {SCHEMA_VERSION})",
                hint="use the version of Loadproof that wrote it",
            )
        return msgspec.json.decode(content, type=RunFile)
    except (ValueError, RecursionError) as error:
        raise StoredRunError(
            f"{source} cannot be read: {harmless(str(error)[:_MAX_SHOWN])}",
            hint="the file was truncated or edited",
        ) from None


class _Versioned(Struct, frozen=True):
    schema_version: int


def read_resume_point(folder: Path) -> ResumePoint:
    """Return what an interrupted run has completed.

    Raises:
        StoredRunError: There is no such run, or it is damaged.
    """
    file = folder / RUN
    try:
        content = read_bounded(file, MAX_RUN_FILE, "a run file")
    except NotReadable as error:
        raise StoredRunError(
            f"there is no run to resume in {folder}: {error}",
            hint="give --resume the folder of a run, such as reports/NAME/TIME",
        ) from None
    run_file = parse_run_file(content, str(file))
    journal = folder / JOURNAL
    if not journal.exists():
        return ResumePoint(run_file, (), 0)
    entries = read(journal)
    latest = {entry.trial.order: entry.trial for entry in entries}
    complete = tuple(trial for trial in latest.values() if trial.status == "complete")
    return ResumePoint(run_file, complete, len(entries))


def host_differences(run_file: RunFile, environment: Mapping[str, object]) -> Sequence[str]:
    """Return the differences between this machine and the one that a run was started on, as phrases."""
    before = run_file.run.environment
    return [
        f"{name.replace('_', ' ')}: then {before.get(name)}, now {environment.get(name)}"
        for name in _SAME_HOST
        if before.get(name) != environment.get(name)
    ]


def relative(base_dir: Path, folder: Path) -> str:
    """Return the path of `base_dir` relative to `folder`."""
    return os.path.relpath(base_dir.resolve(), folder.resolve())
