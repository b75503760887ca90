"""What a `build:` folder holds, as one tar and one fingerprint of everything in it.

The fingerprint names the built image, so an unchanged folder is not built twice, and a
report says exactly which code it measured.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner.core.errors import EnvironmentLacks

WHEELS: Final = ".wheels"
"""Folder of a build context in which wheels lie where a build has no network."""

_BASE: Final = re.compile(r"^\s*ARG\s+BASE=[\"']?([^\s\"']+)", re.IGNORECASE | re.MULTILINE)
_FROM: Final = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*(\S+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """The few things a runner has to know of a Dockerfile.

    Attributes:
        base: Default of ``ARG BASE``, None when it declares none.
        parents: What its FROM lines name, variables not filled in.
    """

    base: str | None
    parents: tuple[str, ...]


def find_folder(build: str, base_dir: Path) -> Path:
    """The folder that `build:` names: beside the specification, else in the current directory.

    Raises:
        EnvironmentLacks: Neither holds a Dockerfile.
    """
    tried = [(base_dir / build).resolve(), (Path.cwd() / build).resolve()]
    for folder in tried:
        if (folder / "Dockerfile").is_file():
            return folder
    raise EnvironmentLacks(
        f"topology.app.build: no Dockerfile in {build!r}",
        hint="it is looked for beside the specification (of an archive, in --base-dir) first, "
        "then in the current directory",
        details=tuple(str(folder / "Dockerfile") for folder in dict.fromkeys(tried)),
    )


def read_dockerfile(folder: Path) -> Dockerfile:
    """Look into a folder's Dockerfile."""
    text = (folder / "Dockerfile").read_text(encoding="utf-8", errors="replace")
    base = _BASE.search(text)
    return Dockerfile(base.group(1) if base else None, tuple(_FROM.findall(text)))


def write_context(folder: Path, target: Path, *, wheels: Path | None, salt: Mapping[str, str]) -> str:
    """Write a folder's build context, what .dockerignore excludes left out, as a tar.

    Args:
        folder: Holds the Dockerfile.
        target: Where the tar goes.
        wheels: Put into the context as `WHEELS`.
        salt: Whatever else the image depends on, such as its base's id.

    Returns:
        The fingerprint: 12 hexadecimal digits that change with any file's name, mode or
        content, and with the salt.

    Raises:
        EnvironmentLacks: A file cannot be read.
    """
    members = _members(folder)
    if wheels:
        members |= {f"{WHEELS}/{wheel.name}": wheel for wheel in wheels.iterdir()}
    digest = hashlib.sha256(repr(sorted(salt.items())).encode())
    try:
        with tarfile.open(target, "w") as archive:
            for name, path in sorted(members.items()):
                _add(archive, name, path, digest)
    except OSError as error:
        raise EnvironmentLacks(f"the build folder {folder} cannot be read: {error}") from error
    return digest.hexdigest()[:12]


def content_digest(folder: Path) -> str:
    """SHA-256 of the files in a folder's build context, whatever they are built upon.

    The same for every checkout of one commit: of a file's mode it counts whether it can be executed.

    Raises:
        EnvironmentLacks: A file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with tarfile.open(fileobj=io.BytesIO(), mode="w") as nowhere:
            for name, path in sorted(_members(folder).items()):
                if path.is_socket() or (path.is_dir() and not path.is_symlink()):
                    continue
                info = nowhere.gettarinfo(path, arcname=name)
                executable = bool(info.mode & 0o100)
                digest.update(f"{name}\0{info.type!r}\0{executable}\0{info.linkname}\0".encode())
                if info.isfile():
                    digest.update(hashlib.sha256(path.read_bytes()).digest())
    except OSError as error:
        raise EnvironmentLacks(f"the build folder {folder} cannot be read: {error}") from error
    return digest.hexdigest()


def _members(folder: Path) -> dict[str, Path]:
    """Name in the context to path, what .dockerignore excludes left out."""
    from docker.utils.build import exclude_paths  # noqa: PLC0415  (the SDK is slow to import)

    return {path: folder / path for path in exclude_paths(str(folder), _ignored(folder))}


def _ignored(folder: Path) -> list[str]:
    """Patterns of .dockerignore, read as `docker build` reads them."""
    ignore = folder / ".dockerignore"
    if not ignore.is_file():
        return []
    lines = (line.strip() for line in ignore.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _add(archive: tarfile.TarFile, name: str, path: Path, digest: hashlib._Hash) -> None:
    if path.is_socket():
        return
    info = archive.gettarinfo(path, arcname=name)
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    digest.update(f"{name}\0{info.type!r}\0{info.mode:o}\0{info.linkname}\0{info.size}\0".encode())
    if not info.isfile():
        archive.addfile(info)
        return
    with path.open("rb") as content:
        digest.update(hashlib.file_digest(content, "sha256").digest())
        content.seek(0)
        archive.addfile(info, content)
