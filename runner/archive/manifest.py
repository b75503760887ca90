"""manifest-sha256.txt: the files of an archive, in the format of `sha256sum --check` and BagIt (RFC 8493).

The SHA-256 of the manifest changes with any byte of any file, and does not depend on the compression of the
ZIP.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final

from runner.archive.names import shown
from runner.core.errors import ArchiveDamaged

MANIFEST: Final = "manifest-sha256.txt"
_LINE: Final = re.compile(r"([0-9a-f]{64})  (\S.*)")


def make_manifest(files: Mapping[str, bytes]) -> bytes:
    """Return the manifest of these files, sorted by name."""
    lines = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)]
    return "".join(lines).encode()


def check_manifest(files: Mapping[str, bytes]) -> None:
    """Compare every file with the manifest among them.

    Raises:
        ArchiveDamaged: There is no manifest, or a file is missing, extra or changed.
    """
    if MANIFEST not in files:
        raise ArchiveDamaged(f"there is no {MANIFEST} in it", hint="it is no archive of a run")
    listed = _parse(files[MANIFEST])
    digests = {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name != MANIFEST
    }
    wrong = [
        *(f"{shown(name)}: missing" for name in listed if name not in digests),
        *(f"{shown(name)}: not in the manifest" for name in digests if name not in listed),
        *(
            f"{shown(name)}: changed, its SHA-256 is not the manifest's"
            for name in digests
            if listed.get(name, digests[name]) != digests[name]
        ),
    ]
    if wrong:
        raise ArchiveDamaged("its files do not match its manifest", details=tuple(sorted(wrong)))


def _parse(content: bytes) -> dict[str, str]:
    """Return name to digest; only the exact format of `make_manifest` is accepted."""
    try:
        lines = content.decode("utf-8").splitlines(keepends=True)
    except UnicodeDecodeError:
        raise ArchiveDamaged(f"{MANIFEST} is not UTF-8 text") from None
    listed: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        entry = _LINE.fullmatch(line.removesuffix("\n"))
        if entry is None or not line.endswith("\n"):
            raise ArchiveDamaged(f"{MANIFEST}, line {number}: not a digest and a name")
        if entry[2] in listed:
            raise ArchiveDamaged(f"{MANIFEST}, line {number}: {shown(entry[2])} is listed twice")
        listed[entry[2]] = entry[1]
    if list(listed) != sorted(listed):
        raise ArchiveDamaged(f"{MANIFEST} is not sorted")
    return listed
