"""The record of a run: what `runner clean` needs after both the runner and its watchdog were killed.

One small file per run in a private folder, with one JSON object a line: first the run itself, then the
messages that the watchdog receives too. Records of other users, boots and pid namespaces are not used.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from runner.stack.control_group import is_group_of, remove_group
from runner.stack.host_identity import boot_id, pid_namespace
from runner.stack.reaper import live_start_ticks

_SUFFIX: Final = ".run"
_MAX_BYTES: Final = 1024 * 1024
_READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(slots=True)
class RunRecord:
    """A run as its record describes it.

    Attributes:
        path: The file.
        run_id: The run.
        owner: Pid and start time of its runner.
        here: Whether its pids mean something in this boot and pid namespace.
        expired: Whether it was written before this boot, so that nothing can be left of it.
        group: Its control group, None where there was none.
        roots: Pid to start time of the processes that it started and that it has not ended.
    """

    path: Path
    run_id: str
    owner: tuple[int, int]
    here: bool
    expired: bool
    group: Path | None
    roots: dict[int, int] = field(default_factory=dict)

    @property
    def owner_is_gone(self) -> bool:
        """Whether the runner has ended."""
        return live_start_ticks(self.owner[0]) != self.owner[1]


def create_record(run_id: str, group: Path | None) -> int | None:
    """Create the record of a run of this process.

    Returns:
        A file descriptor to append messages to; None where no folder can be used.
    """
    head = {
        "run": run_id,
        "owner": [os.getpid(), live_start_ticks(os.getpid())],
        "boot": boot_id(),
        "namespace": pid_namespace(),
        "group": str(group) if group else None,
    }
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    for folder in _folders():
        with suppress(OSError):
            folder.mkdir(mode=0o700, exist_ok=True)
            if _is_private(folder):
                record = os.open(folder / f"{run_id}{_SUFFIX}", flags, 0o600)
                append(record, head)
                return record
    return None


def append(record: int | None, message: dict[str, Any]) -> None:
    """Append a message to a record; a full disk is no reason to end a run."""
    if record is not None:
        with suppress(OSError):
            os.write(record, json.dumps(message).encode() + b"\n")


def record_path(record: int | None) -> Path | None:
    """Return where an open record is."""
    return Path(f"/proc/self/fd/{record}").readlink() if record is not None else None


def conclude(path: Path | None, group: Path | None) -> None:
    """Remove the control group and the record of a run whose processes have ended."""
    remove_group(group)
    with suppress(OSError):
        if path:
            path.unlink(missing_ok=True)


def read_records() -> list[RunRecord]:
    """Return the records of this user's runs, except those that cannot be read."""
    folders = [folder for folder in _folders() if _is_private(folder)]
    paths = [path for folder in folders for path in sorted(folder.glob(f"*{_SUFFIX}"))]
    return [record for path in paths if (record := _read(path)) is not None]


def read_messages(lines: Iterable[bytes]) -> tuple[dict[int, int], set[str]]:
    """Read what a run created and did not remove.

    Returns:
        Pid to start time of the processes to end, and the Docker Engines to empty.
    """
    roots: dict[int, int] = {}
    engines: set[str] = set()
    for line in lines:
        match json.loads(line):
            case {"process": [int(pid), int(started)]}:
                roots[pid] = started
            case {"forget": int(pid)}:
                roots.pop(pid, None)
            case {"docker": str(base_url)}:
                engines.add(base_url)
            case {"docker_emptied": str(base_url)}:
                engines.discard(base_url)
    return roots, engines


def _folders() -> Iterator[Path]:
    """Yield where records of this user may be: its runtime directory first, then /tmp."""
    user = os.geteuid()
    bases = [os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{user}", f"/run/user/{user}"]
    bases += ["/run"] if user == 0 else []
    for base in dict.fromkeys(bases):
        with suppress(OSError):
            if Path(base).stat().st_uid == user:
                yield Path(base) / "loadproof"
    yield Path(f"/tmp/loadproof-{user}")  # noqa: S108  (checked by `_is_private`)


def _is_private(folder: Path) -> bool:
    """Return whether only this user can have written what is in a folder."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _read(path: Path) -> RunRecord | None:
    try:
        with os.fdopen(os.open(path, _READ_FLAGS), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            content = file.read(_MAX_BYTES)
        lines = iter(content[: content.rindex(b"\n")].split(b"\n"))  # a last line may be incomplete
        head = json.loads(next(lines))
        run_id, (pid, started) = str(head["run"]), map(int, head["owner"])
        group = Path(head["group"]) if head["group"] else None
        return RunRecord(
            path=path,
            run_id=run_id,
            owner=(pid, started),
            here=(head["boot"], head["namespace"]) == (boot_id(), pid_namespace()),
            expired=head["boot"] != boot_id(),
            group=group if group and is_group_of(group, run_id) else None,
            roots=read_messages(lines)[0],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
