"""The whole host: packets the CPUs had no time for, stolen time, pressure, memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner.observe.counters.level import Level, Levels, gauge

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_US_PER_S: Final = 1_000_000
_IOWAIT, _SOFTIRQ, _STEAL = 5, 7, 8
_PRESSURES: Final = (("cpu", "some"), ("memory", "some"), ("memory", "full"), ("io", "some"))


@dataclass(frozen=True, slots=True)
class Cpus:
    """What /proc/stat says of all CPUs together and of each one's softirqs."""

    stat: Path = Path("/proc/stat")
    scope: str = "host"
    family: str = "cpu"
    always: bool = True

    def read(self) -> Levels:
        """See `Source`."""
        lines = [line.split() for line in self.stat.read_text().splitlines()]
        total, cpus = lines[0], [line for line in lines[1:] if line[0].startswith("cpu")]
        named = {line[0]: int(line[1]) for line in lines if line[0] in {"ctxt", "procs_running"}}
        softirqs = {f"cpu.softirq_s.{line[0][3:]}": _seconds(line[_SOFTIRQ]) for line in cpus}
        return softirqs | {
            "cpu.softirq_s": _seconds(total[_SOFTIRQ]),
            "cpu.iowait_s": _seconds(total[_IOWAIT]),
            "cpu.steal_s": _seconds(total[_STEAL]),
            "context_switches": Level(named["ctxt"]),
            "run_queue": gauge(named["procs_running"], "threads", limit=len(cpus)),
        }


def _seconds(ticks: str) -> Level:
    return Level(int(ticks) / _TICKS_PER_S, "s")


@dataclass(frozen=True, slots=True)
class Softnet:
    """Packets dropped and polls cut short for want of CPU (net/core/net-procfs.c, a line a CPU)."""

    path: Path = Path("/proc/net/softnet_stat")
    scope: str = "host"
    family: str = "softnet"
    always: bool = False

    def read(self) -> Levels:
        """See `Source`."""
        rows = [[int(word, 16) for word in line.split()] for line in self.path.read_text().splitlines()]
        return {
            "softnet.dropped": Level(sum(row[1] for row in rows), "packets"),
            "softnet.squeezed": Level(sum(row[2] for row in rows)),
        }


@dataclass(frozen=True, slots=True)
class Pressure:
    """Time in which some or all tasks waited for a resource (Documentation/accounting/psi.rst)."""

    folder: Path = Path("/proc/pressure")
    scope: str = "host"
    family: str = "psi"
    always: bool = False

    def read(self) -> Levels:
        """See `Source`."""
        return {
            f"psi.{resource}.{share}_s": Level(_waited_s(self.folder / resource, share), "s")
            for resource, share in _PRESSURES
        }


def _waited_s(path: Path, share: str) -> float:
    line = next(line for line in path.read_text().splitlines() if line.startswith(share))
    return int(line.rpartition("total=")[2]) / _US_PER_S


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory that could still be had, and processes ended for want of it."""

    proc: Path = Path("/proc")
    scope: str = "host"
    family: str = "memory"
    always: bool = True

    def read(self) -> Levels:
        """See `Source`."""
        fields = dict(line.split(":", 1) for line in (self.proc / "meminfo").read_text().splitlines())
        counts = dict(line.split() for line in (self.proc / "vmstat").read_text().splitlines())
        kills = counts.get("oom_kill")
        available = int(fields["MemAvailable"].split()[0]) * 1024
        total = int(fields["MemTotal"].split()[0]) * 1024
        return {
            "memory.available_bytes": gauge(available, "bytes", limit=total),
            "memory.oom_kills": None if kills is None else Level(int(kills)),
        }
