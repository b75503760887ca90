"""Names and labels of what a run has in a swarm.

Containers of tasks do not carry the label of a run: runners of the nodes' own machines remove containers of
runs that have ended, and cannot tell whether a runner on another machine lives.
"""

from __future__ import annotations

import hashlib
from typing import Final

from runner.stack.docker import labels

PLAN: Final = "loadproof.plan"
TASK_OF: Final = "loadproof.task-of"
"""The run of a task's container."""
NETWORK_ROLE: Final = "network"
_MAX: Final = 63
"""Of a service's name, which is a label of a host name."""


def object_name(run_id: str, name: str) -> str:
    """Return the name of an object of the swarm, unique among all runs."""
    whole = f"lp-{run_id}-{name}".lower()
    if len(whole) <= _MAX:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:12]
    return f"{whole[: _MAX - 13].rstrip('-')}-{digest}"


def object_labels(run_id: str, role: str) -> dict[str, str]:
    """Return the labels of an object of the swarm; runners on other machines see it too."""
    return {**labels.run_labels(run_id, role), **labels.SHARED}


def plan_label(run_id: str, name: str) -> list[str]:
    """Return the labels by which the objects of a plan of a run are found."""
    return [f"{labels.RUN}={run_id}", f"{PLAN}={name}"]
