"""Finds the folder of a control group that is named relative to another one.

In a control-group namespace of its own, which version 2 gives each container by default, a process sees the
groups of others as ``/../<id>`` below its own, whose place it does not know. The id of a container is unique.
"""

from __future__ import annotations

import os
import re
import time
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Final

from runner.core.control_groups import Hierarchy

_ID: Final = re.compile(r"[0-9a-f]{64}")
_MAX_GROUPS: Final = 20_000
_SEARCH_EVERY_S: Final = 5


def folder_in(hierarchy: Hierarchy, group: str) -> Path:
    """Return the folder of a group that is named as in ``/proc/PID/cgroup``; it may not exist.

    Args:
        hierarchy: Where it is.
        group: Its path, which may be relative to the reader's own group.
    """
    if "/.." not in hierarchy.root and "/.." not in group:
        return hierarchy.folder(group)
    nowhere = hierarchy.point / "unknown"
    match = _ID.search(Path(group).name)
    if match is None:
        return nowhere
    now = int(time.monotonic() // _SEARCH_EVERY_S)
    return _containers(hierarchy.point, now).get(match.group(), nowhere)


@lru_cache(maxsize=16)
def _containers(point: Path, _: int) -> dict[str, Path]:
    """Return the group of each container by its id."""
    containers: dict[str, Path] = {}
    for folder, _folders, _files in islice(os.walk(point), _MAX_GROUPS):
        if match := _ID.search(Path(folder).name):
            containers.setdefault(match.group(), Path(folder))
    return containers
