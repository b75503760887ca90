"""manifest-sha256.txt: what an archive holds, as `sha256sum --check` and BagIt (RFC 8493) read it.

The SHA-256 of these bytes is the archive's identity: it changes with any byte of any file,
and does not depend on how the ZIP around it was compressed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final

from runner.core.errors import ArchiveDamaged

MANIFEST: Final = "manifest-sha256.txt"
_LINE: Final = re.compile(r"([0-9a-f]{64})  (\S.*)")


def make_manifest(files: Mapping[str, bytes]) -> bytes:
    """The manifest of these files, sorted by name."""
    lines = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)]
    return "".join(lines).encode()


def identity(manifest: bytes) -> str:
    """The archive's identity, 64 hexadecimal digits."""
    return hashlib.sha256(manifest).hexdigest()


def check_manifest(files: Mapping[str, bytes]) -> str:
    """Hold every file against the manifest among them; returns the identity.

    Raises:
        ArchiveDamaged: There is no manifest, or a file is missing, extra or changed.
    """
    if MANIFEST not in files:
        raise ArchiveDamaged(f"there is no {MANIFEST} in it", hint="it is no archive of a run")
    listed = _parse(files[MANIFEST])
    found = {name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name != MANIFEST}
    wrong = [
        *(f"{name}: missing" for name in listed if name not in found),
        *(f"{name}: not in the manifest" for name in found if name not in listed),
        *(
            f"{name}: changed, its SHA-256 is not the manifest's"
            for name in found
            if listed.get(name, found[name]) != found[name]
        ),
    ]
    if wrong:
        raise ArchiveDamaged("its files are not those of its manifest", details=tuple(sorted(wrong)))
    return identity(files[MANIFEST])


def _parse(content: bytes) -> dict[str, str]:
    """Name to digest; exactly as `make_manifest` writes it, so that one run has one identity."""
    try:
        lines = content.decode("utf-8").splitlines(keepends=True)
    except UnicodeDecodeError:
        raise ArchiveDamaged(f"{MANIFEST} is not UTF-8 text") from None
    listed: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line.removesuffix("\n"))
        if found is None or not line.endswith("\n"):
            raise ArchiveDamaged(f"{MANIFEST}, line {number}: not a digest and a name")
        if found[2] in listed:
            raise ArchiveDamaged(f"{MANIFEST}, line {number}: {found[2]} is listed twice")
        listed[found[2]] = found[1]
    if list(listed) != sorted(listed):
        raise ArchiveDamaged(f"{MANIFEST} is not sorted")
    return listed
