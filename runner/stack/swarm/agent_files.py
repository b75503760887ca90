"""What hub and agents need: the parts of this program that run on nodes, and the packages that these import.

They are copied from the running environment, so that agents are of the runner's version, and no node needs a
package index. They may be compiled, for this Python and this kind of machine.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Iterator, Mapping
from importlib import metadata
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Final

import runner
from runner.core.errors import EnvironmentLacks

FOLDER: Final = "loadproof"
"""Of the files, in the context of the build."""

_PARTS: Final = ("agent", "cluster", "core", "load", "observe")
"""Of this program. A contract of the import linter names the others, which these must not import there."""
_PACKAGES: Final = ("google-re2", "httptools", "jsonpath-rfc9535", "msgspec", "trio")
_OWN: Final = frozenset({".py", ".so"})
_LEFT_OUT: Final = frozenset({"__pycache__", "_tests", "tests"})
_NAME: Final = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")
_NOT_HERE: Final = re.compile(r"""extra ==|os_name == ["']nt["']""")
"""Requirements of optional parts of a package, and of other systems."""
_MODE: Final = 0o644


def agent_files() -> dict[str, Path]:
    """Return path in the image's folder to file.

    Raises:
        EnvironmentLacks: A package is not installed in a way that tells its files.
    """
    top = Path(runner.__file__).parent
    own = (path for part in _PARTS for path in (top / part).rglob("*"))
    files = {
        f"runner/{path.relative_to(top)}": path
        for path in (*top.glob("*"), *own)
        if path.suffix in _OWN and not _LEFT_OUT.intersection(path.parts)
    }
    for package in _needed():
        files |= dict(_files_of(package))
    return files


def _needed() -> Iterator[metadata.Distribution]:
    """Yield the packages, and what they need in turn."""
    waiting, known = list(_PACKAGES), set()
    while waiting:
        name = waiting.pop()
        if _canonical(name) in known:
            continue
        known.add(_canonical(name))
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if name in _PACKAGES:
                raise EnvironmentLacks(
                    f"the package {name}, which agents need, is not installed", hint="install Loadproof again"
                ) from None
            continue  # needed on other systems only
        yield package
        for requirement in package.requires or ():
            match = _NAME.match(requirement)
            if match and not _NOT_HERE.search(requirement):
                waiting.append(match.group())


def _files_of(package: metadata.Distribution) -> Iterator[tuple[str, Path]]:
    if package.files is None:
        raise EnvironmentLacks(
            f"the package {package.metadata['Name']} does not tell its files, which agents need",
            hint="install Loadproof with pip into an environment of its own",
        )
    for file in package.files:
        path = PurePosixPath(str(file))
        if ".." not in path.parts and not path.is_absolute() and not _LEFT_OUT.intersection(path.parts):
            yield str(path), Path(str(package.locate_file(file)))


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def write_files(files: Mapping[str, Path], archive: tarfile.TarFile) -> None:
    """Add files to an archive below `FOLDER`, without times and owners.

    Raises:
        EnvironmentLacks: One cannot be read.
    """
    for name, path in sorted(files.items()):
        info = tarfile.TarInfo(f"{FOLDER}/{name}")
        info.mode = _MODE
        with _opened(path) as content:
            info.size = path.stat().st_size
            archive.addfile(info, content)


def fingerprint(files: Mapping[str, Path], salt: str) -> str:
    """Return 12 hexadecimal digits that change with the name or content of any file, and with the salt."""
    digest = hashlib.sha256(salt.encode())
    for name, path in sorted(files.items()):
        with _opened(path) as content:
            digest.update(f"{name}\0".encode() + hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()[:12]


def _opened(path: Path) -> BufferedReader:
    try:
        return path.open("rb")
    except OSError as error:
        raise EnvironmentLacks(f"{path.name}, which agents need, cannot be read: {error.strerror}") from error
