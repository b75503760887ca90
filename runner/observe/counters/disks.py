"""Disks of the host: how long each was busy, and how much it read and wrote."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from runner.observe.counters.level import Level, Levels
from runner.observe.roots import proc, sys

_IN_MEMORY: Final = ("loop", "ram", "zram", "sr", "fd")
_SECTOR_BYTES: Final = 512
_MS_PER_S: Final = 1_000
_NAME, _READ, _WRITTEN, _BUSY_MS = 2, 5, 9, 12
_MAX_DEVICES: Final = 256
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_-]")


def read_disks(statistics: Path | None = None, devices: Path | None = None) -> Levels:
    """Return the counters of every whole disk that was ever used (Documentation/admin-guide/iostats.rst).

    Partitions are parts of a disk. A mapped or mirrored device counts in addition to the disks below it.
    """
    statistics = statistics or Path(proc(), "diskstats")
    devices = devices or Path(sys(), "block")
    disks = {entry.name.replace("!", "/") for entry in devices.iterdir()}
    disks = {name for name in disks if not name.startswith(_IN_MEMORY)}
    levels: dict[str, Level | None] = {}
    for line in statistics.read_text(encoding="ascii", errors="replace").splitlines():
        words = line.split()
        if len(words) > _BUSY_MS and words[_NAME] in disks and len(levels) < 3 * _MAX_DEVICES:
            name = f"disk.{name_in_counters(words[_NAME])}"
            levels[f"{name}.busy_s"] = Level(int(words[_BUSY_MS]) / _MS_PER_S, "s")
            levels[f"{name}.read_bytes"] = Level(int(words[_READ]) * _SECTOR_BYTES, "bytes")
            levels[f"{name}.written_bytes"] = Level(int(words[_WRITTEN]) * _SECTOR_BYTES, "bytes")
    return levels


def name_in_counters(device: str) -> str:
    """Return the name of a device as it stands in the names of counters."""
    return _NOT_IN_NAMES.sub("_", device)
