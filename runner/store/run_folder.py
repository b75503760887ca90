"""The folder of a run: created before anything starts; each file is written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner.core.errors import EnvironmentLacks, OutputError
from runner.store.atomic_write import atomic_write
from runner.store.journal import Journal
from runner.store.run_names import JOURNAL as JOURNAL  # noqa: PLC0414  (given on)
from runner.store.run_names import RESULTS as RESULTS  # noqa: PLC0414
from runner.store.run_names import SPEC as SPEC  # noqa: PLC0414

_SCRATCH: Final = "loadproof-run-"
_TMPDIR: Final = "set TMPDIR to a folder that is writable and has space"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where the output of one run is written."""

    path: Path

    @property
    def journal(self) -> Journal:
        """The run's journal."""
        return Journal(self.path / JOURNAL)

    def write(self, name: str, content: bytes) -> Path:
        """Write a file, whole or not at all, and return its path.

        Raises:
            OutputError: No space, no permission; an older file of that name is unharmed.
        """
        target = self.path / name
        try:
            atomic_write(target, content)
        except OSError as error:
            raise OutputError(
                f"cannot write {target}: {error.strerror}",
                hint="free some space or choose another folder with --out; the journal is kept",
            ) from None
        return target


def rescue_folder(prefix: str = "loadproof-rescued-") -> RunFolder:
    """Return a new temporary folder, for results that cannot be written to their own.

    Args:
        prefix: What its name begins with.

    Raises:
        OutputError: None can be created.
    """
    try:
        return RunFolder(Path(tempfile.mkdtemp(prefix=prefix)))
    except OSError as error:
        raise OutputError(f"no temporary folder can be created: {error.strerror}", hint=_TMPDIR) from None


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Provide a private folder for logs and rendered files of one run; removes those of killed runs.

    Raises:
        EnvironmentLacks: None can be created.
    """
    try:
        _remove_old_scratch_folders()
        folder = tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{os.getpid()}-", ignore_cleanup_errors=True)
    except OSError as error:
        raise EnvironmentLacks(
            f"no temporary folder can be created: {error.strerror}", hint=_TMPDIR
        ) from error
    with folder as name:
        yield Path(name)


def _remove_old_scratch_folders() -> None:
    for old in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*-*"):
        owner = old.name.removeprefix(_SCRATCH).partition("-")[0]
        if owner.isdecimal() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(old, ignore_errors=True)
