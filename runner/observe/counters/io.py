"""What a subject read from and wrote to disks, and how long it waited for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from runner.core.observed_facts import Subject
from runner.core.units import Bytes, Seconds
from runner.observe.cgroups import ControlGroup
from runner.observe.counters.level import Level, Levels
from runner.observe.counters.members import living
from runner.observe.processes import blocked_seconds
from runner.observe.roots import proc

_US_PER_S: Final = 1_000_000
_DELAY_ACCOUNTING: Final = "sys/kernel/task_delayacct"
_VERSION_2: Final = "io.stat"
_VERSION_1: Final = "blkio.throttle.io_service_bytes_recursive"


@dataclass(frozen=True, slots=True)
class GroupIo:
    """Reads the I/O of a control group, of version 1 or 2.

    Attributes:
        scope: Name of the subject.
        folder: Of the group.
    """

    scope: str
    folder: Path
    family: str = "io"
    every_second: bool = False

    def read(self) -> Levels:
        """See `Source`."""
        if (legacy := self.folder / _VERSION_1).exists():
            return _transferred(_legacy_bytes(legacy))
        transferred = _transferred(_bytes(self.folder / _VERSION_2))
        return {**transferred, **dict(_pressure(self.folder))}


def io_of(subject: Subject, group: ControlGroup | None) -> GroupIo | TreeIo:
    """Return what reads the I/O of a subject: its control group where that counts bytes."""
    folder = group.io if group else None
    if folder is not None and any((folder / name).exists() for name in (_VERSION_1, _VERSION_2)):
        return GroupIo(subject.name, folder)
    return TreeIo(subject, folder)


def _transferred(levels: Iterator[tuple[str, int]]) -> dict[str, Level]:
    totals = {"read": 0, "written": 0}
    for direction, count in levels:
        totals[direction] += count
    return {f"io.{direction}_bytes": Level(count, "bytes") for direction, count in totals.items()}


def _bytes(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the bytes of each device: a line has a device and pairs such as ``rbytes=4096``."""
    for line in path.read_text().splitlines():
        pairs = dict(word.split("=", 1) for word in line.split()[1:] if "=" in word)
        yield "read", int(pairs.get("rbytes", 0))
        yield "written", int(pairs.get("wbytes", 0))


def _legacy_bytes(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the bytes of each device: lines such as ``8:0 Read 4096``."""
    for line in path.read_text().splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in {"Read", "Write"}:
            yield ("read" if words[1] == "Read" else "written"), int(words[2])


def _pressure(folder: Path) -> Iterator[tuple[str, Level]]:
    """Yield how long at least one task waited for I/O (Documentation/accounting/psi.rst)."""
    with suppress(OSError):  # this kernel does not measure pressure
        for line in (folder / "io.pressure").read_text().splitlines():
            if line.startswith("some "):
                yield "io.wait_s", Level(int(line.rpartition("total=")[2]) / _US_PER_S, "s")


class _Io(NamedTuple):
    read: Bytes
    written: Bytes
    blocked_s: Seconds


@dataclass(slots=True)
class TreeIo:
    """Reads the I/O of all processes of a subject; one that has ended keeps what it had last.

    ``io.blocked_s`` is the time for which the process that waited longest waited for block I/O. The kernel
    measures it only with delay accounting (delayacct(1)), which is off by default since Linux 5.14.

    Attributes:
        folder: A control group that has these processes, which may tell more exactly how long they waited.
    """

    subject: Subject
    folder: Path | None = None
    family: str = "io"
    every_second: bool = True
    _first: dict[int, _Io] = field(default_factory=dict)
    _last: dict[int, _Io] = field(default_factory=dict)
    _has_begun: bool = False

    @property
    def scope(self) -> str:
        """See `Source`."""
        return self.subject.name

    def read(self) -> Levels:
        """See `Source`."""
        for pid in living(self.subject):
            with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                self._last[pid] = now = _io(pid)
                self._first.setdefault(pid, _Io(0, 0, 0.0) if self._has_begun else now)
        self._has_begun = True
        waits = (last.blocked_s - self._first[pid].blocked_s for pid, last in self._last.items())
        blocked_s = max(waits, default=0.0)
        levels = {
            "io.read_bytes": Level(sum(last.read for last in self._last.values()), "bytes"),
            "io.written_bytes": Level(sum(last.written for last in self._last.values()), "bytes"),
        }
        if self.folder is not None and (pressure := dict(_pressure(self.folder))):
            return levels | pressure
        return levels | ({"io.blocked_s": Level(blocked_s, "s")} if _is_accounted() else {})


def _io(pid: int) -> _Io:
    lines = Path(f"{proc()}/{pid}/io").read_text().splitlines()
    counts = {name: int(value) for name, _, value in (line.partition(": ") for line in lines)}
    return _Io(counts["read_bytes"], counts["write_bytes"], blocked_seconds(pid) or 0.0)


def _is_accounted() -> bool:
    """Return whether the kernel measures delays; without the file, an older one always does."""
    try:
        return Path(proc(), _DELAY_ACCOUNTING).read_text().strip() == "1"
    except OSError:
        return os.access(f"{proc()}/self/io", os.R_OK)
