"""What the processes of PostgreSQL say in their titles, which needs no credentials.

Each connection has a process, whose title ends with what it does. One that waits for a lock has a title such
as ``postgres: app shop 10.0.0.7(5120) UPDATE waiting`` (setting ``update_process_title``, on by default).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import fmean
from typing import Final

from runner.core.observed_facts import Subject
from runner.observe.counters.level import Level, Levels, gauge
from runner.observe.counters.members import living
from runner.observe.proc_files import read_file
from runner.observe.roots import proc

_ENDS: Final = {
    "titles.lock_waits": (b" waiting",),
    "titles.idle_in_transaction": (b" idle in transaction", b" idle in transaction (aborted)"),
}
"""Counter to the ends of the titles of the connections that it counts."""
_MAX_PROCESSES: Final = 200
"""Of one service; a server with more of them is not counted, which would take too long."""
_PREFIX: Final = b"postgres: "


@dataclass(slots=True)
class ProcessTitles:
    """Connections of one service that wait, for a lock or for the client; nothing without such titles."""

    subject: Subject
    family: str = "titles"
    every_second: bool = True
    _read: list[dict[str, int]] = field(default_factory=list)

    @property
    def scope(self) -> str:
        """See `Source`."""
        return self.subject.name

    def read(self) -> Levels:
        """See `Source`."""
        titles = list(_titles(living(self.subject)))
        if not titles:
            self.every_second = False
            return {}
        self._read.append({name: sum(map(_ending(ends), titles)) for name, ends in _ENDS.items()})
        return {name: gauge(count, "connections") for name, count in self._read[-1].items()}

    def over_all(self) -> dict[str, Level]:
        """Return the average of all readings."""
        if not self._read:
            return {}
        return {name: gauge(fmean(read[name] for read in self._read), "connections") for name in _ENDS}


def _ending(ends: tuple[bytes, ...]) -> Callable[[bytes], bool]:
    return lambda title: title.endswith(ends)


def _titles(pids: list[int]) -> Iterator[bytes]:
    """Yield the titles of PostgreSQL's processes."""
    if len(pids) > _MAX_PROCESSES:
        return
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            title = read_file(f"{proc()}/{pid}/cmdline").rstrip(b"\0 ")
            if title.startswith(_PREFIX):
                yield title
