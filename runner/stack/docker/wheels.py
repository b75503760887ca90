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
from pathlib import Path
from typing import Final

from runner.core.errors import EnvironmentLacks
from runner.stack.docker.bases import PYTHON
from runner.stack.docker.commands import run_command
from runner.stack.paths import printable
from runner.stack.protocols import Guard

_GLIBC: Final = ("2_17", "2_28", "2_34", "2_36")
"""Versions that wheels are tagged with, up to that of `bases.SUITE`."""


async def fetch_wheels(
    folder: Path, *, machine: str, guard: Guard, say: Callable[[str], None]
) -> Path | None:
    """Download what a build folder's requirements.txt lists; cached by its content.

    Args:
        folder: The build folder.
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
    key = hashlib.sha256(requirements.read_bytes() + f"{PYTHON} {machine}".encode()).hexdigest()[:12]
    target = _cache() / "wheels" / key
    if target.is_dir():
        return target
    say(f"downloading the wheels of {printable(requirements)} with this machine's pip")
    partial = target.with_name(f"{key}.{os.getpid()}")
    try:
        await _download(requirements, partial, machine, guard)
        partial.rename(target)
    except OSError:
        if not target.is_dir():  # unless another run created it meanwhile
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


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
            f"--requirement={requirements}",
            f"--dest={target}",
        ],
        guard=guard,
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


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    cache = Path(home) if home else Path.home() / ".cache"
    return cache / "loadproof"
