"""Has /proc show of a fork the command line, the environment and the name that a new process would have."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

_PR_SET_MM = 35
_PR_SET_MM_MAP = 14
_NO_FILE = 0xFFFFFFFF
_FIRST_OF_STAT = 3
_IN_STAT = {
    "start_code": 26, "end_code": 27, "start_stack": 28, "start_data": 45, "end_data": 46, "start_brk": 47,
}  # fmt: skip
"""Numbers of fields in proc(5)."""
_ADDRESSES = (
    "start_code", "end_code", "start_data", "end_data", "start_brk", "brk", "start_stack",
    "arg_start", "arg_end", "env_start", "env_end",
)  # fmt: skip
_kept: list[object] = []
"""What the kernel reads for as long as this process lives."""


class _Map(ctypes.Structure):
    """The kernel's `struct prctl_mm_map`."""

    _fields_ = (
        *((name, ctypes.c_uint64) for name in _ADDRESSES),
        ("auxv", ctypes.c_void_p),
        ("auxv_size", ctypes.c_uint32),
        ("exe_fd", ctypes.c_uint32),
    )


def show(words: Sequence[str], variables: Mapping[str, str], name: str) -> bool:
    """Have /proc show these words, variables and name for this process; return whether that is possible."""
    libc = ctypes.CDLL(None)
    libc.sbrk.restype = ctypes.c_void_p
    stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    values = {field: int(stat[number - _FIRST_OF_STAT]) for field, number in _IN_STAT.items()}
    arguments = _placed(words)
    environment = _placed([f"{variable}={value}" for variable, value in variables.items()])
    Path("/proc/self/comm").write_bytes(os.fsencode(name)[:15])
    shown = _Map(
        **values, brk=libc.sbrk(0), arg_start=arguments[0], arg_end=arguments[1], env_start=environment[0],
        env_end=environment[1], exe_fd=_NO_FILE,
    )  # fmt: skip
    pointer, size = ctypes.c_ulong(ctypes.addressof(shown)), ctypes.c_ulong(ctypes.sizeof(shown))
    return bool(libc.prctl(_PR_SET_MM, ctypes.c_ulong(_PR_SET_MM_MAP), pointer, size, ctypes.c_ulong(0)) == 0)


def _placed(texts: Sequence[str]) -> tuple[int, int]:
    """Return where these texts begin and end in memory, each with a zero after it."""
    content = b"".join(os.fsencode(text) + b"\0" for text in texts)
    memory = ctypes.create_string_buffer(content, len(content) or 1)
    _kept.append(memory)
    return ctypes.addressof(memory), ctypes.addressof(memory) + len(content)
