"""Facts about the host for the report's appendix, which readers need to judge the numbers.

They do not contain the host's name, because reports are shared.
"""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import psutil

from runner.core.facts import HostFact
from runner.core.units import BYTES_PER_MIB
from runner.observe.bounds import is_in_range

_MAX_CHARACTERS: Final = 200

_SYSCTLS = {
    "ip_local_port_range": "net/ipv4/ip_local_port_range",
    "tcp_tw_reuse": "net/ipv4/tcp_tw_reuse",
    "somaxconn": "net/core/somaxconn",
    "tcp_max_syn_backlog": "net/ipv4/tcp_max_syn_backlog",
    "nf_conntrack_max": "net/netfilter/nf_conntrack_max",
}
_FILES = {
    "clocksource": "/sys/devices/system/clocksource/clocksource0/current_clocksource",
    "cpu_governor": "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
    "hypervisor": "/sys/class/dmi/id/sys_vendor",
}


def environment() -> dict[str, HostFact]:
    """Return facts about this host; what cannot be read is None. Takes a few milliseconds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    facts: dict[str, HostFact] = {
        "loadproof": _version("loadproof"),
        "python": platform.python_version(),
        "os": _os(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu_model": _cpu_model(),
        "cpu_count": os.cpu_count(),
        "cpus_usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "memory_mib": round(psutil.virtual_memory().total / BYTES_PER_MIB),
        "load_average_1m": round(os.getloadavg()[0], 2),
        "cgroup_version": _cgroup_version(),
        "open_files_soft": soft,
        "open_files_hard": hard,
    }
    facts |= {name: _read(path) for name, path in _FILES.items()}
    return facts | {name: _read(f"/proc/sys/{path}") for name, path in _SYSCTLS.items()}


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _os() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"][:_MAX_CHARACTERS]
    except (OSError, KeyError, ValueError):
        return platform.system()


def _cpu_model() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or None
    return next(_values(lines, "model name"), None)


def _values(lines: list[str], key: str) -> Iterator[str]:
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == key:
            yield value.strip()[:_MAX_CHARACTERS]


def _cgroup_version() -> int | None:
    root = Path("/sys/fs/cgroup")
    if not root.is_dir():
        return None
    return 2 if (root / "cgroup.controllers").exists() else 1


def _read(path: str) -> str | int | None:
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            text = " ".join(file.read(_MAX_CHARACTERS).split())
    except OSError:
        return None
    if text.isascii() and text.isdecimal():
        return int(text) if is_in_range(int(text)) else None
    return text or None
