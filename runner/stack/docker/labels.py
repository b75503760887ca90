"""Whose object is this? Every container and network carries its owner before it exists.

An owner is a process of one boot: (boot id, pid, start time). A dead owner's objects may be
removed by any later run; an owner that cannot be judged from here, because it lives in another
pid namespace, keeps them until they expire. What has no label of ours is never touched.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from runner.core.units import Seconds
from runner.stack.reaper import is_running, look_up
from runner.stack.watchdog_docker import LABEL

RUN: Final = LABEL
ROLE: Final = "loadproof.role"
IMAGE: Final = "loadproof.image"
"""On images only. Never `RUN`: a container inherits its image's labels."""

_OWNER_PID: Final = "loadproof.owner-pid"
_OWNER_STARTED: Final = "loadproof.owner-started"
_BOOT: Final = "loadproof.boot-id"
_NAMESPACE: Final = "loadproof.pid-namespace"
_EXPIRES: Final = "loadproof.expires"
_LIFETIME_S: Final[Seconds] = 24 * 3600.0


def labels(run_id: str, role: str) -> dict[str, str]:
    """What an object of this process's run is labelled with."""
    own = os.getpid()
    return {
        RUN: run_id,
        ROLE: role,
        _OWNER_PID: str(own),
        _OWNER_STARTED: str(start_ticks(own)),
        _BOOT: _boot_id(),
        _NAMESPACE: _pid_namespace(),
        _EXPIRES: str(int(time.time() + _LIFETIME_S)),
    }


def owner_is_gone(found: Mapping[str, str]) -> bool:
    """Whether nobody will tear an object with these labels down.

    Args:
        found: The object's labels; `RUN` is among them.
    """
    if found.get(_BOOT) != _boot_id():
        return True
    if found.get(_NAMESPACE) != _pid_namespace():
        return time.time() > _number(found.get(_EXPIRES))
    return start_ticks(int(_number(found.get(_OWNER_PID)))) != _number(found.get(_OWNER_STARTED))


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot, or None when it is gone."""
    process = look_up(pid)
    return process.started if process and is_running(process) else None


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _pid_namespace() -> str:
    return str(Path("/proc/self/ns/pid").stat().st_ino)


def _number(text: str | None) -> float:
    """A label's number; a label somebody broke counts as long past."""
    try:
        return float(text or "")
    except ValueError:
        return -1.0
