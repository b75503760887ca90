"""Makes stand-ins for well-known base images from Debian packages, without a registry.

Behind a firewall or in CI, a Debian mirror may be reachable while no registry is.
mmdebstrap turns packages into a root file system, and the engine imports it.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Final

from runner.core.errors import EnvironmentLacks
from runner.stack.docker import entrypoints, labels
from runner.stack.docker.commands import run_command
from runner.stack.docker.engine import Engine
from runner.stack.protocols import Guard

SUITE: Final = "bookworm"
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OFFICIAL: Final = re.compile(r"^(?:docker\.io/)?(?:library/)?")
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
        settings: More lines of a Dockerfile that set properties of the image.
    """

    name: str
    packages: tuple[str, ...]
    hooks: tuple[str, ...]
    command: tuple[str, ...]
    settings: tuple[str, ...] = ()


def _entrypoint(text: str) -> str:
    """Return the hook that adds an image's entry point."""
    path = f'"$1"{_ENTRYPOINT}'
    return f"printf %s {shlex.quote(text)} >{path} && chmod 755 {path}"


_ENTRYPOINT: Final = "/usr/local/bin/docker-entrypoint.sh"
_RUN_ENTRYPOINT: Final = f'ENTRYPOINT ["{_ENTRYPOINT}"]'
_POSTGRESQL: Final = "/usr/lib/postgresql/15/bin"
"""The version of `SUITE`."""

_PYTHON: Final = "python:3.12-slim"
STAND_INS: Final[Mapping[str, Recipe]] = MappingProxyType(
    {
        _PYTHON: Recipe(
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
"""Base image to its stand-in; these are made in advance where no registry responds."""

_SERVICES: Final[Mapping[str, Recipe]] = MappingProxyType(
    {
        "redis": Recipe(
            name=f"loadproof-base/redis:{SUITE}",
            packages=("redis-server",),
            hooks=('mkdir -p "$1/data"', _entrypoint(entrypoints.REDIS)),
            command=("redis-server",),
            settings=(_RUN_ENTRYPOINT, "WORKDIR /data", "VOLUME /data", "EXPOSE 6379"),
        ),
        "postgres": Recipe(
            name=f"loadproof-base/postgres:{SUITE}",
            packages=("postgresql",),
            hooks=(
                'rm -rf "$1"/var/lib/postgresql/[0-9]* "$1"/etc/postgresql/[0-9]*',
                'mkdir -p "$1/var/lib/postgresql/data" "$1/docker-entrypoint-initdb.d"',
                _entrypoint(entrypoints.POSTGRES),
            ),
            command=("postgres",),
            settings=(
                _RUN_ENTRYPOINT,
                f"ENV PATH {_POSTGRESQL}:{PATH}",
                "ENV PGDATA /var/lib/postgresql/data",
                "ENV LANG C.UTF-8",
                "VOLUME /var/lib/postgresql/data",
                "EXPOSE 5432",
            ),
        ),
        "nginx": Recipe(
            name=f"loadproof-base/nginx-server:{SUITE}",
            packages=("nginx-light",),
            # as in the original image: the user nginx, no site of Debian, and logs to the container's output
            hooks=(
                'chroot "$1" useradd --system nginx',
                'rm "$1/etc/nginx/sites-enabled/default"',
                f'printf %s {shlex.quote(entrypoints.NGINX_DEFAULT)} >"$1/etc/nginx/conf.d/default.conf"',
                'ln -sf /dev/stdout "$1/var/log/nginx/access.log"',
                'ln -sf /dev/stderr "$1/var/log/nginx/error.log"',
            ),
            command=("nginx", "-g", "daemon off;"),
            settings=("EXPOSE 80",),
        ),
    }
)
"""Official image of a service, whatever its tag, to its stand-in; made when one is needed."""


def stand_in_for(name: str) -> Recipe | None:
    """Return what can take the place of an image; None if nothing can."""
    if name == f"python:{PYTHON}-slim":
        name = _PYTHON
    return STAND_INS.get(name) or _SERVICES.get(_OFFICIAL.sub("", name).partition(":")[0])


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
        f"ENV PATH {PATH}",
        f"CMD {json.dumps(list(recipe.command))}",
        *recipe.settings,
    ]
