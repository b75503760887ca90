"""Reads the files of a ZIP into memory without trusting it: it may be damaged or malicious.

Only `extract` writes files, and only below the folder it is given.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import stat
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner.archive.manifest import MANIFEST, check_manifest
from runner.archive.names import fault_of, first_duplicate, shown
from runner.archive.pack import SEAL, SEAL_BYTES
from runner.core.errors import ArchiveDamaged, ForeignArchive, OutputError, StoredRunError, UsageError
from runner.core.units import BYTES_PER_MIB
from runner.store.bounded_read import NotReadable, TooLarge, read_bounded
from runner.store.run_names import JOURNAL, RESULTS, RUN, SPEC

SCHEMA_VERSION: Final = 1
_LOCK: Final = "lock.json"
_MAX_PACKED: Final = 256 * BYTES_PER_MIB
_MAX_BYTES: Final = 512 * BYTES_PER_MIB
_MAX_FILES: Final = 5000
_MAX_RATIO: Final = 200
_SMALL: Final = BYTES_PER_MIB
_ENCRYPTED: Final = 0x1
_OF_A_RUN: Final = frozenset({RESULTS, RUN, JOURNAL, SPEC, MANIFEST, _LOCK})
"""Names of which any archive of a run has at least one."""
_ENDING: Final = b"PK\x05\x06"
_NEAR_THE_END: Final = 200
_KINDS: Final = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


@dataclass(frozen=True, slots=True)
class Archive:
    """The content of a ZIP that matches its manifest.

    Attributes:
        path: Of the ZIP.
        sha256: Of the ZIP itself, as `sha256sum` prints it.
        files: Name to content, the manifest included.
    """

    path: Path
    sha256: str
    files: Mapping[str, bytes]


def read_archive(path: Path) -> Archive:
    """Return an archive that `runner execute` wrote, complete and unchanged.

    Raises:
        StoredRunError: It cannot be read.
        ArchiveDamaged: It is no archive, is damaged, or is malicious.
    """
    content = _content(path)
    try:
        _check_seal(content)
        files = _files(content)
        check_manifest(files)
        _check_version(files)
    except ArchiveDamaged as error:
        raise type(error)(f"{path}: {error.message}", hint=error.hint, details=error.details) from None
    return Archive(path, hashlib.sha256(content).hexdigest(), files)


def extract(archive: Archive, folder: Path) -> None:
    """Write all files below a new or empty folder.

    Raises:
        UsageError: The folder contains files already, or something else is in its place.
        OutputError: It cannot be written; what was written is removed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"the folder {folder} is not empty", hint="give a new one")
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{folder} is not a folder", hint="give the path of a new folder") from None
    except OSError as error:
        raise _not_writable(folder, error) from None
    try:
        for name, content in archive.files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                file.write(content)
    except OSError as error:
        for entry in folder.iterdir():  # it was empty
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        raise _not_writable(folder, error) from None


def _not_writable(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"cannot write to {folder}: {error.strerror}", hint="free some space or give another folder"
    )


def _content(path: Path) -> bytes:
    try:
        return read_bounded(path, _MAX_PACKED, "an archive")
    except TooLarge as error:
        raise ArchiveDamaged(str(error)) from None
    except NotReadable as error:
        raise StoredRunError(str(error), hint="give a ZIP that `runner execute` wrote") from None


def _check_seal(content: bytes) -> None:
    """Raise ArchiveDamaged unless all bytes of the container are as they were written."""
    if not content.startswith(b"PK"):
        raise ArchiveDamaged("it is no ZIP archive", hint="give a ZIP that `runner execute` wrote")
    body, seal = content[:-SEAL_BYTES], content[-SEAL_BYTES:]
    if not seal.startswith(SEAL):
        if _is_foreign(content):
            raise ForeignArchive(
                "it is a ZIP of another program: it has no file of a run",
                hint="give a ZIP that `runner execute` wrote",
            )
        if _ENDING not in content[-SEAL_BYTES - _NEAR_THE_END :]:
            raise ArchiveDamaged("it is truncated", hint="copy it again")
        raise ArchiveDamaged("it does not end like an archive: it was changed, or packed by another program")
    if seal[len(SEAL) :] != hashlib.sha256(body).hexdigest().encode():
        raise ArchiveDamaged("its bytes were changed", hint="copy it again")


def _is_foreign(content: bytes) -> bool:
    """Return whether it is a whole ZIP in which nothing is of a run."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = {entry.filename.rpartition("/")[2] for entry in archive.infolist()}
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
        return False
    return not names & _OF_A_RUN


def _files(content: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            _check_entries(entries)
            return {entry.filename: _read(archive, entry) for entry in entries}
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
        OSError,
    ) as error:
        raise ArchiveDamaged(f"it is a damaged ZIP ({shown(str(error))})", hint="copy it again") from None


def _check_entries(entries: Sequence[zipfile.ZipInfo]) -> None:
    """Raise ArchiveDamaged for entries that must not be unpacked."""
    if len(entries) > _MAX_FILES:
        raise ArchiveDamaged(f"it contains {len(entries):,} files; the maximum is {_MAX_FILES:,}")
    for entry in entries:
        if fault := fault_of(entry.orig_filename) or _fault_of_kind(entry):
            raise ArchiveDamaged(f"the file {shown(entry.orig_filename)!r} is refused: {fault}")
        ratio = entry.file_size / max(entry.compress_size, 1)
        if entry.file_size > _SMALL and ratio > _MAX_RATIO:
            raise ArchiveDamaged(
                f"the file {entry.filename!r} is refused: it unpacks to {ratio:,.0f} times its size"
            )
    if duplicate := first_duplicate(entry.filename for entry in entries):
        raise ArchiveDamaged(f"it contains the file {duplicate!r} twice")
    total = sum(entry.file_size for entry in entries)
    if total > _MAX_BYTES:
        raise ArchiveDamaged(
            f"it unpacks to {total / BYTES_PER_MIB:,.0f} MiB; "
            f"the maximum is {_MAX_BYTES // BYTES_PER_MIB} MiB"
        )


def _fault_of_kind(entry: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "it is a link"
    if kind not in {0, stat.S_IFREG}:
        return "it is no regular file"
    if entry.flag_bits & _ENCRYPTED:
        return "it is encrypted"
    if entry.compress_type not in _KINDS:
        return "its compression method is not supported"
    return ""


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Return at most as many bytes as the entry announces, whatever its data contain."""
    with archive.open(entry) as stream:
        content = stream.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise ArchiveDamaged(f"the file {entry.filename!r} is refused: its size is not the announced one")
    return content


def _check_version(files: Mapping[str, bytes]) -> None:
    if _LOCK not in files:
        return
    try:
        version = json.loads(files[_LOCK])["schema_version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ArchiveDamaged(f"{_LOCK} has no schema_version") from None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ArchiveDamaged(f"{_LOCK} has no schema_version")
    if version > SCHEMA_VERSION:
        raise ArchiveDamaged(
            f"it was written by a newer version of Loadproof (schema version {version}; "
            f"this version reads up to {SCHEMA_VERSION})",
            hint="update Loadproof and try again",
        )
