"""The pipe between the web server and its processes, apart from both: a process starts without trio."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from runner.core.units import Seconds

JOB_CPU_S: Final[Seconds] = 40.0
"""How much CPU time a job may use."""
LENGTH: Final = struct.Struct(">Q")
"""Of a message between the processes: its length in bytes, then a pickle."""


def loaded(stream_read: Callable[[int], bytes]) -> tuple[str, tuple[Any, ...]] | None:
    """Return the next job of a worker process; None at the end of its input."""
    head = stream_read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    content = stream_read(LENGTH.unpack(head)[0])
    with suppress(EOFError):
        name, arguments = pickle.loads(content)  # noqa: S301  (of our own server)
        return name, arguments
    return None
