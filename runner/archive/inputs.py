"""inputs.json: files that requests send, and scripts of hooks, by digest; small ones are in ``inputs/``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

import msgspec
from msgspec.structs import replace

from runner.core.errors import ArchiveDamaged, StoredRunError
from runner.core.units import BYTES_PER_MIB, Bytes
from runner.experiment.suggestions import harmless
from runner.store.data_files import DataFile

INPUTS: Final = "inputs.json"
FOLDER: Final = "inputs"
MAX_KEPT: Final[Bytes] = BYTES_PER_MIB
"""Smaller files are kept."""

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


class InputFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file that requests send, or that a hook runs.

    Attributes:
        sha256: Digest of its content.
        bytes: Its size.
        kept_as: Its name in the archive; empty if only the digest is there.
        is_output: Whether it is what a command printed, not a file.
        is_script: Whether the command of a hook names it; its path starts where commands do.
    """

    sha256: str
    bytes: Bytes
    kept_as: str = ""
    is_output: bool = False
    is_script: bool = False


def input_files(
    files: Mapping[str, bytes],
    data: Mapping[str, DataFile] = MappingProxyType({}),
    secret: Collection[str] = (),
    scripts: Mapping[str, bytes] = MappingProxyType({}),
) -> dict[str, InputFile]:
    """Return path in the specification to what is recorded of each file.

    Args:
        files: Path to content.
        data: Path or command to rows.
        secret: Paths and commands whose content is not kept.
        scripts: Path to content of what hooks run.
    """
    recorded = {
        path: InputFile(digest(content), len(content), is_script=True) for path, content in scripts.items()
    }
    recorded |= {path: InputFile(digest(content), len(content)) for path, content in files.items()}
    recorded |= {name: InputFile(one.sha256, one.size, is_output=one.is_output) for name, one in data.items()}
    return {
        path: replace(facts, kept_as=_name(number, path))
        if facts.bytes < MAX_KEPT and path not in secret
        else facts
        for number, (path, facts) in enumerate(sorted(recorded.items()), start=1)
    }


def recorded_inputs(files: Mapping[str, bytes], where: str = "") -> dict[str, InputFile]:
    """Return what an archive's or a run's inputs.json records; nothing without one.

    Args:
        files: Name to content.
        where: Prefix of names in messages.

    Raises:
        StoredRunError: It is damaged.
    """
    if INPUTS not in files:
        return {}
    try:
        return msgspec.json.decode(files[INPUTS], type=dict[str, InputFile])
    except (ValueError, RecursionError) as error:
        raise StoredRunError(f"{where}{INPUTS} is damaged: {harmless(str(error))}") from None


def check_kept(files: Mapping[str, bytes], where: str) -> None:
    """Raise ArchiveDamaged unless exactly the kept files are there, with the recorded content."""
    kept = {facts.kept_as: facts for facts in recorded_inputs(files, where).values() if facts.kept_as}
    present = {name for name in files if name.startswith(f"{FOLDER}/")}
    if wrong := sorted(present ^ kept.keys()) or sorted(_changed(files, kept)):
        raise ArchiveDamaged(
            f"{where}{INPUTS} does not describe {harmless(wrong[0])}", hint="do not trust it"
        )


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(content).hexdigest()


def _changed(files: Mapping[str, bytes], kept: Mapping[str, InputFile]) -> Iterator[str]:
    return (name for name, facts in kept.items() if digest(files[name]) != facts.sha256)


def _name(number: int, path: str) -> str:
    """Return a name that every system accepts, and that no other file has."""
    return f"{FOLDER}/{number}-{_UNSAFE.sub('_', PurePosixPath(path).name)[-100:]}"
