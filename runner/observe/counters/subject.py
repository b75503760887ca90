"""One subject: its busiest thread, its files against their limit, its memory against its group's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from runner.facts import Subject
from runner.observe.cgroups import control_group_of
from runner.observe.counters.level import Level, Levels, gauge
from runner.observe.processes import descendants
from runner.units import NS_PER_S, Seconds

_NO_LIMIT: Final = 1 << 60
"""Version 1 writes a number near 2^63 for no limit."""


def processes(subject: Subject) -> list[int]:
    """The processes a subject is made of now; a container's are found below its first one."""
    if subject.pid is None:
        return []
    return [subject.pid] if subject.kind == "process" else descendants(subject.pid)


@dataclass(slots=True)
class Threads:
    """CPU of every thread, of which the busiest one matters: a full one cannot be helped by idle cores.

    `read` gives the busiest since the last reading, `over_all` the busiest since the first.
    """

    subject: Subject
    family: str = "threads"
    always: bool = True
    _first: tuple[Seconds, dict[int, Seconds]] | None = None
    _last: tuple[Seconds, dict[int, Seconds]] | None = None

    @property
    def scope(self) -> str:
        """See `Source`."""
        return self.subject.name

    def read(self) -> Levels:
        """See `Source`."""
        now, before = (time.monotonic(), self._used()), self._last
        self._last = now
        self._first = self._first or now
        hottest = _hottest(before, now) if before else 0.0
        return {
            "threads.hottest_cores": gauge(hottest, "cores", limit=1.0),
            "threads.count": gauge(len(now[1]), "threads"),
        }

    def over_all(self) -> Levels:
        """The busiest thread on average since the first reading."""
        if self._first is None or self._last is None or self._first is self._last:
            return {}
        return {"threads.hottest_cores": gauge(_hottest(self._first, self._last), "cores", limit=1.0)}

    def _used(self) -> dict[int, Seconds]:
        found = {thread: used for pid in processes(self.subject) for thread, used in _threads(pid)}
        if not found:
            raise ProcessLookupError(3, "no such process")
        return found


def _threads(pid: int) -> Iterator[tuple[int, Seconds]]:
    """Thread id and CPU seconds, in nanoseconds where the kernel keeps them (schedstat)."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return
    for task in tasks:
        try:
            yield int(task.name), int((task / "schedstat").read_bytes().split()[0]) / NS_PER_S
        except (OSError, IndexError):
            continue


def _hottest(before: tuple[Seconds, dict[int, Seconds]], after: tuple[Seconds, dict[int, Seconds]]) -> float:
    length = after[0] - before[0]
    used = (cpu - before[1].get(thread, 0.0) for thread, cpu in after[1].items())
    return round(max(used, default=0.0) / length, 4) if length > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Switches:
    """Context switches of all threads: those that waited, and those that were put aside."""

    subject: Subject
    family: str = "ctx"
    always: bool = False

    @property
    def scope(self) -> str:
        """See `Source`."""
        return self.subject.name

    def read(self) -> Levels:
        """See `Source`."""
        waited = pushed = 0
        for pid in processes(self.subject):
            for task in Path(f"/proc/{pid}/task").iterdir():
                lines = (task / "status").read_text().splitlines()
                waited += next(int(line.split()[1]) for line in lines if line.startswith("voluntary"))
                pushed += next(int(line.split()[1]) for line in lines if line.startswith("nonvoluntary"))
        return {"ctx.voluntary": Level(waited), "ctx.involuntary": Level(pushed)}


@dataclass(frozen=True, slots=True)
class Files:
    """Open files of the process that is closest to its limit."""

    subject: Subject
    family: str = "fds"
    always: bool = True

    @property
    def scope(self) -> str:
        """See `Source`."""
        return self.subject.name

    def read(self) -> Levels:
        """See `Source`."""
        found = [(_open_files(pid), _most_files(pid)) for pid in processes(self.subject)]
        if not found:
            raise ProcessLookupError(3, "no such process")
        used, most = max(found, key=lambda pair: pair[0] / (pair[1] or _NO_LIMIT))
        return {"fds.open": gauge(used, "files", limit=most)}


def _open_files(pid: int) -> int:
    """The folder's size is their number since Linux 6.2; before, it is 0 and they have to be counted."""
    folder = Path(f"/proc/{pid}/fd")
    return folder.stat().st_size or sum(1 for _ in folder.iterdir())


def _most_files(pid: int) -> int | None:
    text = Path(f"/proc/{pid}/limits").read_text()
    soft = next(line.split()[3] for line in text.splitlines() if line.startswith("Max open files"))
    return None if soft == "unlimited" else int(soft)


@dataclass(slots=True)
class GroupMemory:
    """Memory of a control group against its limit, and what hitting the limit has cost."""

    subject: Subject
    family: str = "memory"
    always: bool = True
    _folder: Path | None = field(default=None)

    @property
    def scope(self) -> str:
        """See `Source`."""
        return self.subject.name

    def read(self) -> Levels:
        """See `Source`."""
        if self._folder is None and self.subject.pid is not None:
            group = control_group_of(self.subject.pid)
            self._folder = group.memory if group else None
        if self._folder is None:
            raise FileNotFoundError(2, "no memory control group")
        return (
            _version_2(self._folder)
            if (self._folder / "memory.current").exists()
            else _version_1(self._folder)
        )


def _version_1(folder: Path) -> Levels:
    limit = int((folder / "memory.limit_in_bytes").read_text())
    control = dict(line.split() for line in (folder / "memory.oom_control").read_text().splitlines())
    used = int((folder / "memory.usage_in_bytes").read_text())
    return {
        "memory.usage_bytes": gauge(used, "bytes", limit=limit if limit < _NO_LIMIT else None),
        "memory.limit_hits": Level(int((folder / "memory.failcnt").read_text())),
        "memory.oom_kills": Level(int(control.get("oom_kill", 0))),
    }


def _version_2(folder: Path) -> Levels:
    limit = (folder / "memory.max").read_text().strip()
    events = dict(line.split() for line in (folder / "memory.events").read_text().splitlines())
    used = int((folder / "memory.current").read_text())
    return {
        "memory.usage_bytes": gauge(used, "bytes", limit=None if limit == "max" else int(limit)),
        "memory.limit_hits": Level(int(events["max"])),
        "memory.oom_kills": Level(int(events["oom_kill"])),
    }
