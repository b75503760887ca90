"""The complete facts of the host before and after a run, by which two machines can be distinguished.

More than the report's appendix shows. Nothing in it identifies the machine or its users; what cannot be read
is null, with the reason under `unreadable`.
"""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

from runner.observe.environment import environment

SCHEMA_VERSION: Final = 1

SYSCTLS: Final = (
    "fs.file-max",
    "fs.nr_open",
    "kernel.numa_balancing",
    "kernel.pid_max",
    "kernel.sched_autogroup_enabled",
    "kernel.threads-max",
    "net.core.default_qdisc",
    "net.core.netdev_max_backlog",
    "net.core.rmem_max",
    "net.core.somaxconn",
    "net.core.wmem_max",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_max_tw_buckets",
    "net.ipv4.tcp_mem",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_wmem",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_tcp_timeout_time_wait",
    "vm.swappiness",
)
_LIMITS: Final = ("NOFILE", "NPROC", "MEMLOCK", "STACK", "AS", "CPU", "NICE", "RTPRIO", "SIGPENDING")
_TIMES: Final = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest")
_MEMORY: Final = {
    "total": "MemTotal",
    "available": "MemAvailable",
    "swap": "SwapTotal",
    "swap_free": "SwapFree",
}
_CPU: Final = "/sys/devices/system/cpu"
_CLOCK: Final = "/sys/devices/system/clocksource/clocksource0"
_CGROUP: Final = {
    "cpu_max": ("cpu.max",),
    "cpu_quota_us": ("cpu/cpu.cfs_quota_us",),
    "cpu_period_us": ("cpu/cpu.cfs_period_us",),
    "memory_max": ("memory.max", "memory/memory.limit_in_bytes"),
    "pids_max": ("pids.max", "pids/pids.max"),
    "cpus": ("cpuset.cpus.effective", "cpuset/cpuset.effective_cpus"),
}
_KERNEL_OPTIONS: Final = frozenset(
    {"isolcpus", "nohz_full", "rcu_nocbs", "mitigations", "nosmt", "idle", "intel_pstate"}
)
"""Options of the kernel's command line that change timing; others may identify disks."""


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads small files of the kernel and records what it could not read.

    Attributes:
        root: Root of the file system.
        unreadable: Name of a fact to the reason why it is missing.
    """

    root: Path
    unreadable: dict[str, str] = field(default_factory=dict)

    def text(self, name: str, *paths: str) -> str | None:
        """Return the first of these files that can be read, with single blanks."""
        reason = "there is no such file"
        for path in paths:
            try:
                return " ".join((self.root / path.lstrip("/")).read_text(encoding="utf-8").split())
            except FileNotFoundError:
                continue
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "it is no text"
        self.unreadable[name] = reason
        return None

    def value(self, name: str, *paths: str) -> str | int | None:
        """Return the same as a number where it is one."""
        text = self.text(name, *paths)
        return int(text) if text is not None and text.isascii() and text.isdecimal() else text


def facts(*, root: Path = Path("/")) -> dict[str, object]:
    """Return everything about this host that affects a measurement; takes a few milliseconds.

    Args:
        root: Contains /proc and /sys.
    """
    read = _Reader(root)
    collected: dict[str, object] = {
        "schema_version": SCHEMA_VERSION,
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "environment": environment(),
        "cpu": _cpu(read),
        "load": _load(read),
        "memory_mib": _memory(read),
        "limits": _limits(read),
        "sysctls": {name: read.value(name, f"/proc/sys/{name.replace('.', '/')}") for name in SYSCTLS},
        "clock": _clock(read),
        "cgroup": {name: read.value(f"cgroup.{name}", *_in_cgroup(paths)) for name, paths in _CGROUP.items()},
        "virtualisation": _virtualisation(read),
    }
    return {**collected, "unreadable": dict(sorted(read.unreadable.items()))}


def _cpu(read: _Reader) -> dict[str, object]:
    governors = sorted({path.read_text().strip() for path in _governors(read.root)})
    if not governors:
        read.unreadable["cpu.governors"] = "the kernel shows no frequency scaling"
    options = (read.text("cpu.kernel_options", "/proc/cmdline") or "").split()
    return {
        "online": read.text("cpu.online", f"{_CPU}/online"),
        "isolated": read.text("cpu.isolated", f"{_CPU}/isolated"),
        "smt": read.text("cpu.smt", f"{_CPU}/smt/control"),
        "governors": governors or None,
        "no_turbo": read.value("cpu.no_turbo", f"{_CPU}/intel_pstate/no_turbo"),
        "boost": read.value("cpu.boost", f"{_CPU}/cpufreq/boost"),
        "kernel_options": [option for option in options if option.partition("=")[0] in _KERNEL_OPTIONS],
        "transparent_hugepage": read.text(
            "cpu.transparent_hugepage", "/sys/kernel/mm/transparent_hugepage/enabled"
        ),
    }


def _governors(root: Path) -> list[Path]:
    paths = root.glob(f"{_CPU.lstrip('/')}/cpu[0-9]*/cpufreq/scaling_governor")
    return [path for path in paths if os.access(path, os.R_OK)]


def _load(read: _Reader) -> dict[str, object]:
    """Return load averages and CPU times since boot; the difference of two readings gives the stolen time."""
    averages = (read.text("load.average", "/proc/loadavg") or "").split()[:3]
    first = (read.text("load.cpu_s", "/proc/stat") or "").split()
    ticks = dict(zip(_TIMES, map(int, first[1:10]), strict=False)) if first[:1] == ["cpu"] else {}
    per_s = os.sysconf("SC_CLK_TCK")
    pressure = read.text("load.cpu_pressure", "/proc/pressure/cpu")
    return {
        "average": [float(average) for average in averages] or None,
        "cpu_s": {name: ticks[name] / per_s for name in ticks} or None,
        "cpu_pressure": pressure,
    }


def _memory(read: _Reader) -> dict[str, object]:
    words = (read.text("memory", "/proc/meminfo") or "").split()
    kib = {name.rstrip(":"): int(value) for name, value in pairwise(words) if value.isdecimal()}
    return {name: round(kib[key] / 1024) if key in kib else None for name, key in _MEMORY.items()}


def _limits(read: _Reader) -> dict[str, object]:
    """Return soft and hard limits of this process, ``unlimited`` where there is none."""
    collected: dict[str, object] = {}
    for name in _LIMITS:
        try:
            soft, hard = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))
        except (AttributeError, ValueError, OSError):
            read.unreadable[f"limits.{name.lower()}"] = "this system has no such limit"
            continue
        collected[name.lower()] = {"soft": _limit(soft), "hard": _limit(hard)}
    return collected


def _limit(value: int) -> int | str:
    return "unlimited" if value == resource.RLIM_INFINITY else value


def _clock(read: _Reader) -> dict[str, object]:
    return {
        "source": read.text("clock.source", f"{_CLOCK}/current_clocksource"),
        "available": (read.text("clock.available", f"{_CLOCK}/available_clocksource") or "").split() or None,
        "monotonic_resolution_ns": round(time.get_clock_info("monotonic").resolution * 1e9),
        "uptime_s": float((read.text("clock.uptime_s", "/proc/uptime") or "0").split()[0]),
    }


def _in_cgroup(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"/sys/fs/cgroup/{name}" for name in names)


def _virtualisation(read: _Reader) -> dict[str, object]:
    flags = (read.text("virtualisation.hypervisor", "/proc/cpuinfo") or "").split()
    return {
        "hypervisor_flag": "hypervisor" in flags if flags else None,
        "vendor": read.text("virtualisation.vendor", "/sys/class/dmi/id/sys_vendor"),
        "product": read.text("virtualisation.product", "/sys/class/dmi/id/product_name"),
        "hypervisor": read.text("virtualisation.type", "/sys/hypervisor/type"),
        "container": any((read.root / name).exists() for name in (".dockerenv", "run/.containerenv")),
    }
