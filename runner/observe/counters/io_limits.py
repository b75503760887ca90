"""The I/O that the control groups of a subject may do, and how much of it they did."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from runner.core.observed_facts import Subject
from runner.observe.cgroups import io_folders
from runner.observe.counters.disks import name_in_counters
from runner.observe.counters.level import Level, Levels
from runner.observe.counters.members import living
from runner.observe.roots import sys

_LEGACY: Final = {
    "read_bytes": ("blkio.throttle.read_bps_device", "blkio.throttle.io_service_bytes_recursive", "Read"),
    "written_bytes": (
        "blkio.throttle.write_bps_device",
        "blkio.throttle.io_service_bytes_recursive",
        "Write",
    ),
    "reads": ("blkio.throttle.read_iops_device", "blkio.throttle.io_serviced_recursive", "Read"),
    "writes": ("blkio.throttle.write_iops_device", "blkio.throttle.io_serviced_recursive", "Write"),
}
"""What is counted to the files of version 1 with its limits and its counts, and the word of the latter."""
_CURRENT: Final = {
    "read_bytes": ("rbps", "rbytes"),
    "written_bytes": ("wbps", "wbytes"),
    "reads": ("riops", "rios"),
    "writes": ("wiops", "wios"),
}
"""Likewise the keys in ``io.max`` and ``io.stat`` of version 2."""
_UNITS: Final = {"reads": "reads", "writes": "writes"}
_MAX_PROCESSES: Final = 64
_MAX_LIMITS: Final = 64


class _Limited(NamedTuple):
    """A limit of a group: so much of `what` a second on a device, named by its numbers such as ``8:0``."""

    folder: Path
    device: str
    what: str
    per_s: float


@dataclass(slots=True)
class IoLimits:
    """Counts what is limited, such as ``io.limited.sda.written_bytes``; the counter's limit is for a second.

    The groups are those of the subject's processes when this is read first, and the groups above them.
    Without any limit there are no counters.
    """

    subject: Subject
    family: str = "io limits"
    every_second: bool = False
    _limits: tuple[_Limited, ...] | None = field(default=None, init=False)

    @property
    def scope(self) -> str:
        """See `Source`."""
        return self.subject.name

    def read(self) -> Levels:
        """See `Source`."""
        if self._limits is None:
            self._limits = tuple(islice(_tightest(self.subject), _MAX_LIMITS))
        return {f"io.limited.{_device_name(one.device)}.{one.what}": _level(one) for one in self._limits}


def _tightest(subject: Subject) -> Iterator[_Limited]:
    """Yield the lowest limit of each kind on each device."""
    folders = dict.fromkeys(
        folder for pid in islice(living(subject), _MAX_PROCESSES) for folder in io_folders(pid)
    )
    found: dict[tuple[str, str], _Limited] = {}
    for folder in folders:
        for limit in _limits_of(folder):
            key = limit.device, limit.what
            found[key] = min(found.get(key, limit), limit, key=lambda one: one.per_s)
    yield from found.values()


def _limits_of(folder: Path) -> Iterator[_Limited]:
    """Yield the limits of one group, of version 1 or 2 (admin-guide/cgroup-v1/blkio-controller.rst)."""
    for what, (file, _, _) in _LEGACY.items():
        with suppress(OSError):
            for line in (folder / file).read_text().splitlines():
                device, _, per_s = line.partition(" ")
                yield _Limited(folder, device, what, int(per_s))
    with suppress(OSError):
        for line in (folder / "io.max").read_text().splitlines():
            device, *pairs = line.split()
            bounds = dict(pair.partition("=")[::2] for pair in pairs)
            for what, (key, _) in _CURRENT.items():
                if (per_s := bounds.get(key, "max")) != "max":
                    yield _Limited(folder, device, what, int(per_s))


def _level(one: _Limited) -> Level:
    return Level(_count(one), _UNITS.get(one.what, "bytes"), limit=one.per_s)


def _count(one: _Limited) -> int:
    """Return what the group has done so far; nothing is listed of a device before its first use."""
    _, file, word = _LEGACY[one.what]
    with suppress(FileNotFoundError):
        lines = (line.split() for line in (one.folder / file).read_text().splitlines())
        return sum(int(words[2]) for words in lines if words[:2] == [one.device, word])
    for line in (one.folder / "io.stat").read_text().splitlines():
        device, *pairs = line.split()
        if device == one.device:
            return int(dict(pair.partition("=")[::2] for pair in pairs).get(_CURRENT[one.what][1], 0))
    return 0


def _device_name(device: str) -> str:
    """Return the name of a device, such as ``sda``; its numbers if it has none."""
    return name_in_counters(Path(sys(), "dev/block", device).resolve().name)
