"""Turns a `build:` folder into a tar and a fingerprint of everything in it.

The fingerprint is part of the built image's name, so an unchanged folder is not built twice,
and a report states exactly which code it measured.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner.core.errors import EnvironmentLacks
from runner.stack.paths import printable, read_regular

WHEELS: Final = ".wheels"
"""Folder of a build context that contains the wheels for a build without network."""

_BASE: Final = re.compile(r"^\s*ARG\s+BASE=[\"']?([^\s\"']+)", re.IGNORECASE | re.MULTILINE)
_FROM: Final = re.compile(
    r"^[ \t]*FROM[ \t]+(?:--\S+[ \t]+)*(\S+)(?:[ \t]+AS[ \t]+(\S+))?", re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """The parts of a Dockerfile that the runner uses.

    Attributes:
        base: The default of ``ARG BASE``, None without one.
        parents: The images in its FROM lines, without its own stages, with variables not replaced.
    """

    base: str | None
    parents: tuple[str, ...]


def find_folder(build: str, base_dir: Path, part: str = "app") -> Path:
    """Return the folder that `build:` names: relative to the specification, else to the current directory.

    Args:
        build: The value of the key.
        base_dir: The specification's folder.
        part: Whose key it is, below ``topology``, for the message.

    Raises:
        EnvironmentLacks: Neither contains a Dockerfile.
    """
    candidates = [(base_dir / build).resolve(), (Path.cwd() / build).resolve()]
    for folder in candidates:
        if (folder / "Dockerfile").is_file():
            return folder
    raise EnvironmentLacks(
        f"topology.{part}.build: no Dockerfile in {build!r}",
        hint="the folder is relative to the specification (for an archive, to --base-dir), "
        "or to the current directory",
        details=tuple(printable(folder / "Dockerfile") for folder in dict.fromkeys(candidates)),
    )


def read_dockerfile(folder: Path, name: str = "Dockerfile") -> Dockerfile:
    """Parse a folder's Dockerfile."""
    text = read_text(folder, name)
    base = _BASE.search(text)
    parents: list[str] = []
    stages: set[str] = set()
    for parent, stage in _FROM.findall(text):
        if parent.lower() not in stages:
            parents.append(parent)
        stages.add(stage.lower())
    return Dockerfile(base.group(1) if base else None, tuple(parents))


def read_text(folder: Path, name: str = "Dockerfile") -> str:
    """Return the text of a folder's Dockerfile.

    Raises:
        EnvironmentLacks: It cannot be read.
    """
    try:
        return read_regular(folder / name).decode(errors="replace")
    except OSError as error:
        place = printable(folder / name)
        raise EnvironmentLacks(f"{place} cannot be read: {error.strerror}") from error


def write_context(folder: Path, target: Path, *, wheels: Path | None, salt: Mapping[str, str]) -> str:
    """Write a folder's build context, without what .dockerignore excludes, as a tar.

    Args:
        folder: Contains the Dockerfile.
        target: The tar to write.
        wheels: A folder added to the context as `WHEELS`.
        salt: What else the image depends on, such as its base's id.

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
        raise _cannot_be_read(folder, error) from error
    return digest.hexdigest()[:12]


def content_digest(folder: Path) -> str:
    """Return the SHA-256 of the files in a folder's build context, independent of the base image.

    It is the same for every checkout of one commit: of a file's mode only the executable bit counts.

    Raises:
        EnvironmentLacks: A file cannot be read.
    """
    try:
        return _digest(_members(folder))
    except OSError as error:
        raise _cannot_be_read(folder, error) from error


def mount_digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of everything in a folder as `content_digest` does.

    Raises:
        EnvironmentLacks: It cannot be read.
    """
    try:
        if path.is_dir():
            return _digest({str(member.relative_to(path)): member for member in path.rglob("*")})
        return _file_digest(path).hex()
    except OSError as error:
        where = f" ({printable(Path(error.filename))})" if isinstance(error.filename, str) else ""
        raise EnvironmentLacks(f"{printable(path)} cannot be read: {error.strerror}{where}") from error


def _digest(members: Mapping[str, Path]) -> str:
    digest = hashlib.sha256()
    with tarfile.open(fileobj=io.BytesIO(), mode="w") as archive:
        for name, path in sorted(members.items()):
            if path.is_socket() or (path.is_dir() and not path.is_symlink()):
                continue
            info = archive.gettarinfo(path, arcname=name)
            executable = bool(info.mode & 0o100)
            digest.update(os.fsencode(f"{name}\0{info.type!r}\0{executable}\0{info.linkname}\0"))
            if info.isfile():
                digest.update(_file_digest(path))
    return digest.hexdigest()


def _file_digest(path: Path) -> bytes:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").digest()


def _cannot_be_read(folder: Path, error: OSError) -> EnvironmentLacks:
    where = f" ({printable(Path(error.filename))})" if isinstance(error.filename, str) else ""
    return EnvironmentLacks(f"the build folder {printable(folder)} cannot be read: {error.strerror}{where}")


def _members(folder: Path) -> dict[str, Path]:
    """Return name in the context to path, without what .dockerignore excludes."""
    from docker.utils.build import exclude_paths  # noqa: PLC0415  (the SDK is slow to import)

    return {path: folder / path for path in exclude_paths(str(folder), _ignored(folder))}


def _ignored(folder: Path) -> list[str]:
    """Return the patterns of .dockerignore, parsed as `docker build` does."""
    ignore = folder / ".dockerignore"
    if not ignore.is_file():
        return []
    text = os.fsdecode(read_regular(ignore)).removeprefix("\ufeff")
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _add(archive: tarfile.TarFile, name: str, path: Path, digest: hashlib._Hash) -> None:
    if path.is_socket():
        return
    info = archive.gettarinfo(path, arcname=name)
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    digest.update(os.fsencode(f"{name}\0{info.type!r}\0{info.mode:o}\0{info.linkname}\0{info.size}\0"))
    if not info.isfile():
        archive.addfile(info)
        return
    with path.open("rb") as content:
        digest.update(hashlib.file_digest(content, "sha256").digest())
        content.seek(0)
        archive.addfile(info, content)
