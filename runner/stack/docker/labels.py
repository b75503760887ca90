"""Labels every container and network with its owner, from its creation on.

An owner is a process of one boot: (boot id, pid, start time). Any later run may remove a dead
owner's objects. An owner in another pid namespace, or of a swarm on another machine, cannot be checked
from here, so its objects stay until they expire, those of a swarm by its manager's clock: clocks of machines
may differ. Objects without Loadproof's labels are never touched.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from runner.core.units import Seconds
from runner.stack.host_identity import boot_id, pid_namespace
from runner.stack.reaper import live_start_ticks
from runner.stack.watchdog_docker import LABEL

RUN: Final = LABEL
ROLE: Final = "loadproof.role"
IMAGE: Final = "loadproof.image"
"""For images only; they never carry `RUN`, because a container inherits its image's labels."""

SHARED: Final = MappingProxyType({"loadproof.shared": "true"})
"""For what runners on other machines see too: another boot id does not prove that the owner is gone."""

_OWNER_PID: Final = "loadproof.owner-pid"
_OWNER_STARTED: Final = "loadproof.owner-started"
_BOOT: Final = "loadproof.boot-id"
_NAMESPACE: Final = "loadproof.pid-namespace"
_EXPIRES: Final = "loadproof.expires"
_LIFETIME_S: Final[Seconds] = 24 * 3600.0


def run_labels(run_id: str, role: str) -> dict[str, str]:
    """Return the labels for an object of this process's run."""
    pid = os.getpid()
    return {
        RUN: run_id,
        ROLE: role,
        _OWNER_PID: str(pid),
        _OWNER_STARTED: str(live_start_ticks(pid)),
        _BOOT: boot_id(),
        _NAMESPACE: pid_namespace(),
        _EXPIRES: str(int(time.time() + _LIFETIME_S)),
    }


def is_shared(labels: Mapping[str, str] | None) -> bool:
    """Return whether an object with these labels belongs to a swarm."""
    return SHARED.items() <= (labels or {}).items()


def owner_is_gone(labels: Mapping[str, str], age_s: Seconds | None = None) -> bool:
    """Return whether no process will remove an object with these labels any more.

    Args:
        labels: Of the object.
        age_s: Of an object of a swarm, by the manager's clock; None where that is not known.
    """
    elsewhere = labels.get(_BOOT) != boot_id()
    if elsewhere and not is_shared(labels):
        return True
    if elsewhere or labels.get(_NAMESPACE) != pid_namespace():
        if is_shared(labels):
            return age_s is not None and age_s > _LIFETIME_S
        return time.time() > _number(labels.get(_EXPIRES))
    return live_start_ticks(int(_number(labels.get(_OWNER_PID)))) != _number(labels.get(_OWNER_STARTED))


def _number(text: str | None) -> float:
    """Return a label's number; an invalid label counts as long past."""
    try:
        return float(text or "")
    except ValueError:
        return -1.0
