"""Finds k6, and refuses what is not k6 1.0 or newer, before a stage depends on it."""

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
_VERSION: Final = re.compile(r"\bk6(?:\.exe)? v(\d+)\.(\d+)\.\d+\S*")


async def find_k6() -> tuple[str, str]:
    """The path of a k6 that can be used, and its version.

    Raises:
        EnvironmentLacks: There is none, it is too old, or it is something else.
    """
    path = which_k6()
    if path is None:
        raise EnvironmentLacks("k6 is not on PATH", hint=_HOW_TO_INSTALL)
    text = await _printed_version(path)
    found = _VERSION.search(text)
    if found is None:
        raise EnvironmentLacks(
            f"{path} does not say which version of k6 it is",
            hint=_HOW_TO_INSTALL,
            details=tuple(text.splitlines()[-5:]),
        )
    if (int(found[1]), int(found[2])) < OLDEST:
        raise EnvironmentLacks(f"{path} is {found[0]}, which is too old", hint=_HOW_TO_INSTALL)
    return path, found[0]


def which_k6() -> str | None:
    """k6 on PATH, else beside the Python that runs this (a virtual environment's)."""
    beside = str(Path(sys.executable).parent)
    return shutil.which("k6") or shutil.which("k6", path=beside)


def environment() -> dict[str, str]:
    """This process's environment without what would change k6's behaviour or its route."""
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
    """What ``k6 version`` prints within a few seconds, empty when it cannot be started."""
    try:
        child = await spawn([path, "version"], cwd=Path.cwd(), env=environment())
    except OSError as error:
        return f"it cannot be started: {error.strerror}"
    try:
        with trio.move_on_after(VERSION_S):
            await child.drain()
            await child.wait()
    finally:
        await child.stop()
    return "\n".join(child.tail())
