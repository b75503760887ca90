"""Identifies this boot of this host, and this pid namespace: a pid means something only within both."""

from __future__ import annotations

from pathlib import Path


def boot_id() -> str:
    """Return the kernel's identifier of the current boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def pid_namespace() -> str:
    """Return the number of the pid namespace that this process sees."""
    return str(Path("/proc/self/ns/pid").stat().st_ino)
