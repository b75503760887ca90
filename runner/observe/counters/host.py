"""Counters of the whole host: dropped packets, stolen time, pressure, memory."""

from __future__ import annotations

import os
from typing import Final

from runner.observe.counters.level import Level, Levels, gauge
from runner.observe.proc_files import read_file
from runner.observe.roots import network_of_machine, proc

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_US_PER_S: Final = 1_000_000
_IOWAIT, _SOFTIRQ, _STEAL = 5, 7, 8
_PRESSURES: Final = (("cpu", "some"), ("memory", "some"), ("memory", "full"), ("io", "some"))


def read_cpus() -> Levels:
    """Return the counters of all CPUs together (/proc/stat), and each CPU's softirqs."""
    lines = [line.split() for line in read_file(f"{proc()}/stat").decode().splitlines()]
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


def read_softnet() -> Levels:
    """Return packets dropped and polls cut short for lack of CPU (net/core/net-procfs.c, a line per CPU)."""
    lines = read_file(f"{proc()}/{network_of_machine()}/net/softnet_stat").splitlines()
    rows = [[int(word, 16) for word in line.split()] for line in lines]
    return {
        "softnet.dropped": Level(sum(row[1] for row in rows), "packets"),
        "softnet.squeezed": Level(sum(row[2] for row in rows)),
    }


def read_pressure() -> Levels:
    """Return the time in which some or all tasks waited for a resource (Documentation/accounting/psi.rst)."""
    return {
        f"psi.{resource}.{share}_s": Level(_waited_s(f"{proc()}/pressure/{resource}", share), "s")
        for resource, share in _PRESSURES
    }


def _waited_s(path: str, share: str) -> float:
    line = next(line for line in read_file(path).decode().splitlines() if line.startswith(share))
    return int(line.rpartition("total=")[2]) / _US_PER_S


def read_memory() -> Levels:
    """Return the memory that is still available, and the processes killed for lack of it."""
    memory, counts = read_file(f"{proc()}/meminfo"), read_file(f"{proc()}/vmstat")
    available, total = _number_after(b"MemAvailable:", memory), _number_after(b"MemTotal:", memory)
    kills = _number_after(b"\noom_kill ", counts)
    if available is None or total is None:
        raise ValueError("no MemAvailable")
    return {
        "memory.available_bytes": gauge(available * 1024, "bytes", limit=total * 1024),
        "memory.oom_kills": None if kills is None else Level(kills),
    }


def _number_after(name: bytes, text: bytes) -> int | None:
    """Return a number by the name before it, without parsing the hundred others of a file."""
    _, separator, rest = text.partition(name)
    return int(rest[:64].split()[0]) if separator else None
