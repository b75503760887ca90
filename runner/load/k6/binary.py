"""Finds k6, and refuses anything but k6 1.0 or newer before a stage depends on it."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Final

import trio

from runner.core.errors import EnvironmentLacks
from runner.core.units import Seconds
from runner.load.k6.process import spawn

OLDEST: Final = (1, 0)
VERSION_S: Final[Seconds] = 5.0

_HOW_TO_INSTALL: Final = (
    "install k6 1.0 or newer as its official documentation (Grafana k6, “Install k6”) says, so that "
    "`k6 version` works in this shell; or use load.engine: builtin"
)
_VERSION: Final = re.compile(r"\bk6(?:\.exe)? v(([0-9]{1,4})\.([0-9]{1,4})\.[0-9]{1,4}[^\s]{0,100})")


async def find_k6() -> tuple[str, str]:
    """Return the path of a usable k6 and its version, such as ``1.1.0``.

    Raises:
        EnvironmentLacks: There is none, it is too old, or it is another program.
    """
    path = which_k6()
    if path is None:
        raise EnvironmentLacks("k6 is not on PATH", hint=_HOW_TO_INSTALL)
    text = await _printed_version(path)
    version = _VERSION.search(text)
    if version is None:
        raise EnvironmentLacks(
            f"{path} does not print a version of k6",
            hint=_HOW_TO_INSTALL,
            details=tuple(text.splitlines()[-5:]),
        )
    if (int(version[2]), int(version[3])) < OLDEST:
        raise EnvironmentLacks(f"{path} is {version[0]}, which is too old", hint=_HOW_TO_INSTALL)
    return path, version[1]


def which_k6() -> str | None:
    """Return k6 on PATH, else beside the running Python (in a virtual environment)."""
    beside = str(Path(sys.executable).parent)
    return shutil.which("k6") or shutil.which("k6", path=beside)


def environment() -> dict[str, str]:
    """Return this process's environment without variables that change k6's behaviour or its route."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("K6_") and not name.lower().endswith("_proxy")
    }
    return kept | {
        "K6_BINARY_PROVISIONING": "false",
        "K6_AUTO_EXTENSION_RESOLUTION": "false",
        "GODEBUG": "http2client=0",  # over TLS it would choose HTTP/2
    }


async def _printed_version(path: str) -> str:
    """Return what ``k6 version`` prints within a few seconds, or why it cannot be started."""
    try:
        process = await spawn([path, "version"], cwd=Path.cwd(), env=environment())
    except OSError as error:
        return f"it cannot be started: {error.strerror}"
    try:
        with trio.move_on_after(VERSION_S):
            await process.drain()
            await process.wait()
    finally:
        await process.stop()
    return "\n".join(process.tail())
