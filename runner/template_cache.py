"""Keeps compiled templates from run to run: to compile that of a report takes a fifth of `runner report`."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

import jinja2
from jinja2.bccache import Bucket, BytecodeCache

from runner.cache import cache_folder

_FOLDER: Final = "templates"
_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


class TemplateCache(BytecodeCache):
    """Compiled templates in the cache folder; without that folder they are compiled each time.

    Compiled templates are code, so only files that no other user can change are read: with sudo, HOME may
    be the folder of another user.
    """

    def __init__(self, made_with: Sequence[str]) -> None:
        """Make a cache.

        Args:
            made_with: Files of the code that compiling a template calls, such as its `finalize`; when one
                of them changes, the templates are compiled again.
        """
        self._made_with = made_with

    def get_source_checksum(self, source: str) -> str:
        """Return what a stored template must have in common with the present one."""
        states = (Path(file).stat() for file in self._made_with)
        changes = (f"{state.st_mtime_ns}+{state.st_size}" for state in states)
        return " ".join((super().get_source_checksum(source), jinja2.__version__, *changes))

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill the bucket, unless nothing usable is stored."""
        file = _file(bucket)
        if file is None:
            return
        with suppress(OSError):
            if not _is_private(os.lstat(file.parent)):
                return
            with os.fdopen(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as content:
                if _is_private(os.fstat(content.fileno())):
                    _fill(bucket, content)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Store the bucket; what cannot be stored is compiled again by the next command."""
        import tempfile  # noqa: PLC0415  (takes longer than to read what is stored)

        file = _file(bucket)
        if file is None:
            return
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not _is_private(os.lstat(file.parent)):
                return
            with tempfile.NamedTemporaryFile("wb", dir=file.parent, delete=False) as draft:
                try:
                    bucket.write_bytecode(draft)
                    draft.flush()
                    Path(draft.name).replace(file)
                except BaseException:
                    Path(draft.name).unlink()
                    raise


def _file(bucket: Bucket) -> Path | None:
    cache = cache_folder()
    return cache / _FOLDER / bucket.key if cache else None


def _fill(bucket: Bucket, content: BinaryIO) -> None:
    with suppress(Exception):  # damaged code fails in many ways, and then the template is compiled
        bucket.load_bytecode(content)


def _is_private(state: os.stat_result) -> bool:
    return state.st_uid == os.geteuid() and not state.st_mode & _WRITABLE_BY_OTHERS
