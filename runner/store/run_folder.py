"""The folder a run is written to: made before anything starts, files replaced whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from runner.core.errors import OutputError, UsageError
from runner.store.journal import Journal

JOURNAL = "journal.ndjson"
REPORT = "report.md"
RESULTS = "results.json"
SPEC = "spec.yaml"
_SCRATCH = "loadproof-run-"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where one run's output lies."""

    path: Path

    @property
    def journal(self) -> Journal:
        """The run's journal."""
        return Journal(self.path / JOURNAL)

    def write(self, name: str, content: bytes) -> Path:
        """Put a file into place, whole or not at all.

        Raises:
            OutputError: No space, no permission; an older file of that name is unharmed.
        """
        target = self.path / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace(target, content)
        except OSError as error:
            raise OutputError(
                f"cannot write {target}: {error.strerror}",
                hint="free some space or choose another folder with --out; the journal keeps what was seen",
            ) from None
        return target


def make_folder(path: Path) -> RunFolder:
    """A folder for one run, empty and proven to be writable.

    Raises:
        UsageError: It holds files already.
        OutputError: It cannot be made or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise UsageError(f"the output folder {path} is not empty", hint="give --out a new folder")
        with tempfile.TemporaryFile(dir=path) as probe:
            probe.write(bytes(4096))
    except OSError as error:
        raise OutputError(
            f"cannot write to the output folder {path}: {error.strerror}",
            hint="choose another folder with --out",
        ) from None
    return RunFolder(path)


def rescue_folder() -> RunFolder:
    """A folder on the disk of temporary files, for results that their own folder cannot take."""
    return RunFolder(Path(tempfile.mkdtemp(prefix="loadproof-rescued-")))


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A private folder for one run's logs and rendered files; clears away those of killed runs."""
    for old in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*-*"):
        owner = old.name.removeprefix(_SCRATCH).partition("-")[0]
        if owner.isdecimal() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{os.getpid()}-") as folder:
        yield Path(folder)


def _replace(target: Path, content: bytes) -> None:
    handle, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).chmod(0o644)
        Path(draft).replace(target)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
