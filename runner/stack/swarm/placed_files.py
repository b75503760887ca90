"""Reads what the parts of a swarm are given: secrets, configs, and files of the specification's folder.

They travel through the manager, so that nodes need no folder of this machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

import trio

from runner.cluster.placement import PlacedFile
from runner.core.codes import Role, RoleName
from runner.core.errors import EnvironmentLacks
from runner.core.units import Bytes
from runner.experiment.swarm_parts import MAX_CONFIG, MAX_SECRET, SECRETS_FOLDER, SwarmApp, SwarmService
from runner.experiment.swarm_topology import SwarmTopology
from runner.stack.paths import printable, read_regular

MAX_FILES: Final = 64
_IN_AN_IMAGE: Final = "build an image that contains it"
_MAKE_IT_SMALLER: Final = (
    "a secret does not belong into an image: make it smaller, or give the service a secret with which it "
    "fetches this one when it starts"
)
_WHERE: Final = "it is relative to the specification's folder (for an archive, to --base-dir)"


async def read_placed_files(
    topology: SwarmTopology, base_dir: Path
) -> tuple[Mapping[RoleName, tuple[PlacedFile, ...]], Mapping[str, bytes]]:
    """Return role to the files that its part is given, and name to value of each secret.

    Args:
        topology: Names them.
        base_dir: Where relative paths start.

    Raises:
        EnvironmentLacks: One does not exist, cannot be read, is empty or too large.
    """
    return await trio.to_thread.run_sync(placed_files, topology, base_dir)


def placed_files(
    topology: SwarmTopology, base_dir: Path
) -> tuple[Mapping[RoleName, tuple[PlacedFile, ...]], Mapping[str, bytes]]:
    """Do what `read_placed_files` does. Blocks."""
    secrets = {name: _secret(topology, name, base_dir) for name in topology.secrets}
    configs = {
        name: _read(base_dir / config.file, f"topology.configs.{name}", MAX_CONFIG)
        for name, config in topology.configs.items()
    }
    parts: dict[RoleName, SwarmApp | SwarmService] = {Role.APP: topology.app, **topology.services}
    files = {
        role: (
            *(PlacedFile(f"{SECRETS_FOLDER}/{name}", secrets[name], secret=True) for name in part.secrets),
            *(PlacedFile(path, configs[name]) for name, path in part.configs.items()),
            *(_service_files(role, part, base_dir) if isinstance(part, SwarmService) else ()),
        )
        for role, part in parts.items()
    }
    return files, secrets


def _secret(topology: SwarmTopology, name: str, base_dir: Path) -> bytes:
    secret, key = topology.secrets[name], f"topology.secrets.{name}"
    if secret.file is not None:
        return _read(base_dir / secret.file, key, MAX_SECRET, _MAKE_IT_SMALLER)
    value = os.fsencode(os.environ.get(secret.env or "", ""))
    if not value:
        what = "is empty" if secret.env in os.environ else "is not set"
        raise EnvironmentLacks(
            f"{key}.env: {secret.env} {what} in the environment",
            hint=f"run `export {secret.env}=...` first",
        )
    if len(value) > MAX_SECRET:
        raise EnvironmentLacks(
            f"{key}.env: {secret.env} has {len(value):,} bytes, and Docker Swarm accepts {MAX_SECRET:,}",
            hint="make it smaller",
        )
    return value


def _service_files(name: str, service: SwarmService, base_dir: Path) -> Iterator[PlacedFile]:
    root = base_dir.resolve()
    for path, inside in service.files.items():
        key = f"topology.services.{name}.files"
        source = (root / path).resolve()
        if not source.is_relative_to(root):
            raise EnvironmentLacks(
                f"{key}: {path} is a link out of the folder {printable(root)}",
                hint="copy what it leads to there",
            )
        for file, target in _files_below(source, PurePosixPath(inside), key):
            yield PlacedFile(str(target), _read(file, key, MAX_CONFIG))


def _files_below(source: Path, target: PurePosixPath, key: str) -> list[tuple[Path, PurePosixPath]]:
    if not source.is_dir():
        return [(source, target)]
    files = sorted(path for path in source.rglob("*") if path.is_file())
    if len(files) > MAX_FILES:
        raise EnvironmentLacks(
            f"{key}: the folder {printable(source)} has {len(files)} files",
            hint=f"a part in a swarm is given at most {MAX_FILES}: build an image that contains them",
        )
    return [(path, target / path.relative_to(source).as_posix()) for path in files]


def _read(path: Path, key: str, most: Bytes, if_large: str = _IN_AN_IMAGE) -> bytes:
    try:
        content = read_regular(path)
    except OSError as error:
        raise EnvironmentLacks(
            f"{key}: {printable(path)} cannot be read: {error.strerror or error}", hint=_WHERE
        ) from None
    if not content:
        raise EnvironmentLacks(f"{key}: {printable(path)} is empty", hint="Docker Swarm refuses empty files")
    if len(content) > most:
        raise EnvironmentLacks(
            f"{key}: {printable(path)} has {len(content):,} bytes, and Docker Swarm accepts {most:,}",
            hint=if_large,
        )
    return content
