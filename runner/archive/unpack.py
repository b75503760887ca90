"""From a ZIP to files in memory, trusting nothing: it may be damaged, or made to do harm.

Nothing is written here but by `extract`, and that only below the folder it was given.
"""

from __future__ import annotations

import hashlib
import io
import json
import stat
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runner.archive.manifest import check_manifest
from runner.archive.names import fault_of, first_twice
from runner.archive.pack import SEAL, SEAL_BYTES
from runner.core.errors import ArchiveDamaged, OutputError, StoredRunError, UsageError
from runner.core.units import BYTES_PER_MIB

SCHEMA_VERSION: Final = 1
_LOCK: Final = "lock.json"
_MOST_PACKED: Final = 256 * BYTES_PER_MIB
_MOST_BYTES: Final = 512 * BYTES_PER_MIB
_MOST_FILES: Final = 5000
_MOST_RATIO: Final = 200
_SMALL: Final = BYTES_PER_MIB
_ENCRYPTED: Final = 0x1
_ENDING: Final = b"PK\x05\x06"
_NEAR_THE_END: Final = 200
_KINDS: Final = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


@dataclass(frozen=True, slots=True)
class Archive:
    """What a ZIP holds, held against its manifest.

    Attributes:
        path: Where it lies.
        identity: The SHA-256 of its manifest.
        files: Name to content, the manifest included.
    """

    path: Path
    identity: str
    files: Mapping[str, bytes]


def read_archive(path: Path) -> Archive:
    """An archive that `runner execute` wrote, whole and unchanged.

    Raises:
        StoredRunError: It cannot be read.
        ArchiveDamaged: It is no archive, is damaged, or is made to do harm.
    """
    content = _content(path)
    try:
        _check_seal(content)
        files = _files(content)
        identity = check_manifest(files)
        _check_version(files)
    except ArchiveDamaged as error:
        raise ArchiveDamaged(f"{path}: {error.message}", hint=error.hint, details=error.details) from None
    return Archive(path, identity, files)


def extract(archive: Archive, folder: Path) -> None:
    """Write all files below a folder that is new or empty.

    Raises:
        UsageError: The folder holds files already.
        OutputError: It cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"the folder {folder} is not empty", hint="name a new one")
        for name, content in archive.files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                file.write(content)
    except OSError as error:
        raise OutputError(
            f"cannot write to {folder}: {error.strerror}", hint="free some space or name another folder"
        ) from None


def _content(path: Path) -> bytes:
    if path.exists() and not path.is_file() and not path.is_dir():
        raise StoredRunError(f"{path} is no file", hint="give a ZIP that `runner execute` wrote")
    try:
        with path.open("rb") as stream:
            content = stream.read(_MOST_PACKED + 1)
    except OSError as error:
        raise StoredRunError(
            f"cannot read {path}: {error.strerror}", hint="give a ZIP that `runner execute` wrote"
        ) from None
    if len(content) > _MOST_PACKED:
        raise ArchiveDamaged(
            f"{path} is larger than {_MOST_PACKED // BYTES_PER_MIB} MiB, which no run's archive is"
        )
    return content


def _check_seal(content: bytes) -> None:
    """All bytes of the container are as they were written."""
    if not content.startswith(b"PK"):
        raise ArchiveDamaged("it is no ZIP archive", hint="give a ZIP that `runner execute` wrote")
    body, seal = content[:-SEAL_BYTES], content[-SEAL_BYTES:]
    if not seal.startswith(SEAL):
        if _ENDING not in content[-SEAL_BYTES - _NEAR_THE_END :]:
            raise ArchiveDamaged("it was cut short", hint="copy it again")
        raise ArchiveDamaged(
            "its end is not that of a run's archive: it was changed, or packed by another program"
        )
    if seal[len(SEAL) :] != hashlib.sha256(body).hexdigest().encode():
        raise ArchiveDamaged(
            "it was changed: its bytes are not those that were written", hint="copy it again"
        )


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
        raise ArchiveDamaged(f"it is a damaged ZIP ({error})", hint="copy it again") from None


def _check_entries(entries: Sequence[zipfile.ZipInfo]) -> None:
    """Before anything is unpacked."""
    if len(entries) > _MOST_FILES:
        raise ArchiveDamaged(
            f"it holds {len(entries):,} files; no run's archive has more than {_MOST_FILES:,}"
        )
    for entry in entries:
        if fault := fault_of(entry.orig_filename) or _fault_of_kind(entry):
            raise ArchiveDamaged(f"the file {entry.orig_filename!r} is refused: {fault}")
        ratio = entry.file_size / max(entry.compress_size, 1)
        if entry.file_size > _SMALL and ratio > _MOST_RATIO:
            raise ArchiveDamaged(
                f"the file {entry.filename!r} is refused: it unpacks to {ratio:,.0f} times its size"
            )
    if twice := first_twice(entry.filename for entry in entries):
        raise ArchiveDamaged(f"the file {twice!r} is in it twice")
    total = sum(entry.file_size for entry in entries)
    if total > _MOST_BYTES:
        raise ArchiveDamaged(
            f"it unpacks to {total / BYTES_PER_MIB:,.0f} MiB; no run's archive has more than "
            f"{_MOST_BYTES // BYTES_PER_MIB} MiB"
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
        return "it is compressed in a way that no run's archive is"
    return ""


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Not more than the entry announces, whatever its data say."""
    with archive.open(entry) as stream:
        content = stream.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise ArchiveDamaged(f"the file {entry.filename!r} is refused: it is not as large as it says")
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
            f"it was written by a newer Loadproof (schema version {version}; "
            f"this one reads up to {SCHEMA_VERSION})",
            hint="update Loadproof and try again",
        )
