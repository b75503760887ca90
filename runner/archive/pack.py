"""Packs files into a ZIP: the same files always give the same bytes.

Names are sorted, times and modes fixed. The ZIP's comment is the digest of all bytes before it, so that a
change of any byte, of contents or of the container, is detected.
"""

from __future__ import annotations

import hashlib
import io
import stat
import zipfile
from collections.abc import Mapping
from typing import Final

from runner.archive.manifest import MANIFEST, make_manifest

SEAL: Final = b"loadproof sha256 "
SEAL_BYTES: Final = len(SEAL) + 64
_LEVEL: Final = 9
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_MODE: Final = (stat.S_IFREG | 0o644) << 16
_UNIX: Final = 3


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return the archive of these files, with their manifest.

    Args:
        files: Safe names to contents, without the manifest.
    """
    whole = {**files, MANIFEST: make_manifest(files)}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in sorted(whole):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system, entry.external_attr = _UNIX, _MODE
            archive.writestr(entry, whole[name], compresslevel=_LEVEL)
        archive.comment = bytes(SEAL_BYTES)
    return sealed(stream.getvalue()[:-SEAL_BYTES])


def sealed(content: bytes) -> bytes:
    """Return a ZIP that announces a comment of `SEAL_BYTES`, with the digest of its bytes as the comment."""
    return content + SEAL + hashlib.sha256(content).hexdigest().encode()
