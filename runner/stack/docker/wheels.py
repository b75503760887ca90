"""Python wheels for a build without network: downloaded on this machine, copied into the build.

A stand-in base means that no registry responded. A container's own network is then usually
unavailable too, while this machine's pip may be configured with a mirror, a proxy or a certificate.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import trio

from runner.cache import cache_folder
from runner.core.errors import EnvironmentLacks
from runner.stack.docker.bases import PYTHON
from runner.stack.docker.commands import run_command
from runner.stack.paths import printable, read_regular
from runner.stack.protocols import Guard

_GLIBC: Final = ("2_17", "2_28", "2_34", "2_36")
"""Versions that wheels are tagged with, up to that of `bases.SUITE`."""


async def fetch_wheels(
    folder: Path, scratch: Path, *, machine: str, guard: Guard, say: Callable[[str], None]
) -> Path | None:
    """Download what a build folder's requirements.txt lists; cached by its content.

    Args:
        folder: The build folder.
        scratch: Receives the wheels if the cache cannot.
        machine: The engine's processor architecture, as ``uname -m`` prints it.
        guard: Guards pip's process.
        say: Shows progress.

    Returns:
        A folder of wheels, None when there is no requirements.txt.

    Raises:
        EnvironmentLacks: There is no pip, or it failed.
    """
    requirements = folder / "requirements.txt"
    if not requirements.is_file():
        return None
    key = hashlib.sha256(read_regular(requirements) + f"{PYTHON} {machine}".encode()).hexdigest()[:12]
    cache = cache_folder()
    cached = cache / "wheels" / key if cache else None
    if cached and cached.is_dir():
        return cached
    say(f"downloading the wheels of {printable(requirements)} with this machine's pip")
    downloaded = scratch / f"wheels-{key}"
    await _download(requirements, downloaded, machine, guard)
    if cached:
        await trio.to_thread.run_sync(_keep, downloaded, cached)
    return downloaded


def _keep(downloaded: Path, cached: Path) -> None:
    """Copy wheels into the cache, whole or not at all; without them the next build takes longer."""
    partial = cached.with_name(f"{cached.name}.{os.getpid()}")
    with suppress(OSError):
        shutil.copytree(downloaded, partial)
        partial.rename(cached)
    shutil.rmtree(partial, ignore_errors=True)


async def _download(requirements: Path, target: Path, machine: str, guard: Guard) -> None:
    platforms = [f"--platform=manylinux_{version}_{machine}" for version in _GLIBC]
    platforms.append(f"--platform=manylinux2014_{machine}")
    finished = await run_command(
        [
            *_pip(),
            "download",
            "--quiet",
            "--only-binary=:all:",
            f"--python-version={PYTHON}",
            *platforms,
            f"--requirement={requirements.name}",  # pip cannot print a path that is not UTF-8
            f"--dest={target}",
        ],
        guard=guard,
        cwd=requirements.parent,
    )
    if finished.code:
        raise EnvironmentLacks(
            f"the wheels of {printable(requirements)} cannot be downloaded", details=finished.last_lines
        )


def _pip() -> list[str]:
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    command = shutil.which("pip3") or shutil.which("pip")
    if command is None:
        raise EnvironmentLacks("there is no pip to download wheels with", hint="install python3-pip")
    return [command]
