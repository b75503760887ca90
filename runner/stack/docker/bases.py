"""Makes stand-ins for well-known base images from Debian packages, without a registry.

Behind a firewall or in CI, a Debian mirror may be reachable while no registry is.
mmdebstrap turns packages into a root file system, and the engine imports it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Final

from runner.core.errors import EnvironmentLacks
from runner.stack.docker import labels
from runner.stack.docker.commands import run_command
from runner.stack.docker.engine import Engine
from runner.stack.protocols import Guard

SUITE: Final = "bookworm"
PYTHON: Final = "3.11"
"""The Python of `SUITE`."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one stand-in is made.

    Attributes:
        name: The image's name here.
        packages: Debian packages to install, besides the minimal system.
        hooks: Shell commands to run on the finished root file system; ``$1`` is its path.
        command: What the image runs by default.
    """

    name: str
    packages: tuple[str, ...]
    hooks: tuple[str, ...]
    command: tuple[str, ...]


STAND_INS: Final[Mapping[str, Recipe]] = MappingProxyType(
    {
        "python:3.12-slim": Recipe(
            name=f"loadproof-base/python:{SUITE}",
            packages=("python3-minimal", "python3-pip", "ca-certificates"),
            # as in the original image, `python` exists and pip may install system-wide
            hooks=(
                'ln -s python3 "$1/usr/bin/python"',
                'rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
            ),
            command=("python3",),
        ),
        "nginx:1.28-alpine": Recipe(
            name=f"loadproof-base/nginx:{SUITE}",
            packages=("nginx-light",),
            hooks=(),
            command=("nginx", "-g", "daemon off;"),
        ),
    }
)
"""Image to its stand-in."""


async def make(
    engine: Engine, recipe: Recipe, *, guard: Guard, say: Callable[[str], None], scratch: Path
) -> None:
    """Build a stand-in and import it into the engine; this takes about half a minute.

    Raises:
        EnvironmentLacks: mmdebstrap is missing or failed.
    """
    command = shutil.which("mmdebstrap")
    if command is None:
        raise EnvironmentLacks(
            f"{recipe.name} cannot be built: mmdebstrap is not installed",
            hint="on Debian and Ubuntu: sudo apt-get install mmdebstrap",
        )
    say(f"building {recipe.name} from Debian {SUITE} packages, about half a minute")
    with TemporaryDirectory(prefix="base-", dir=scratch) as folder:
        tarball = str(Path(folder) / "rootfs.tar")
        hooks = [f"--customize-hook={hook}" for hook in recipe.hooks]
        include = f"--include={','.join(recipe.packages)}"
        finished = await run_command(
            [command, "--variant=minbase", include, *hooks, SUITE, tarball], guard=guard
        )
        if finished.code:
            raise EnvironmentLacks(
                f"{recipe.name} cannot be built: mmdebstrap exited with status {finished.code}",
                hint="it needs a Debian mirror and, unless run by root, user namespaces",
                details=finished.last_lines,
            )
        name, _, tag = recipe.name.partition(":")
        await engine.call(
            engine.api.import_image, tarball, repository=name, tag=tag, changes=_changes(recipe)
        )


def _changes(recipe: Recipe) -> list[str]:
    """Return the Dockerfile lines that `docker import` applies to the files."""
    return [
        f"LABEL {labels.IMAGE}=base",
        "ENV PATH /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        f"CMD {json.dumps(list(recipe.command))}",
    ]
