"""What was tested, by digests: the program file, the code that it was told to run, its packages, its commit.

Two runs of one specification can be compared only if it is known whether the program changed in between.
Reading takes a bounded time and never fails a run: what cannot be read is absent.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

import psutil

from runner.bounded_program import DidNotFinish, run_bounded
from runner.core.observed_facts import Subject
from runner.core.system_facts import ProgramIdentity
from runner.core.units import BYTES_PER_MIB, Bytes, Seconds

WITHIN_S: Final[Seconds] = 1.0
"""For all programs of a stack together."""
_MAX_FILE: Final[Bytes] = 256 * BYTES_PER_MIB
_MAX_FILES: Final = 500
_MAX_WORDS: Final = 64
_CHUNK: Final[Bytes] = BYTES_PER_MIB
_CODE: Final = frozenset({".py", ".js", ".mjs", ".cjs", ".ts", ".class", ".jar", ".rb", ".php", ".lua"})
_MODULE: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_GIT: Final = ("git", "--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
_DIFF: Final = ("diff", "HEAD", "--no-ext-diff", "--no-textconv", "--no-color", "--", ".")


def program_identities(
    subjects: Sequence[Subject], *, within_s: Seconds = WITHIN_S
) -> Mapping[str, ProgramIdentity]:
    """Return by subject what the processes of a stack run, as far as it can be read in time.

    Containers are absent: their images have identifiers.
    """
    until_s = time.monotonic() + within_s
    identities = {}
    for subject in subjects:
        if subject.pid and subject.kind != "cgroup":
            with suppress(psutil.Error, OSError, ValueError):
                identities[subject.name] = _identity(subject.pid, until_s)
    return identities


def _identity(pid: int, until_s: Seconds) -> ProgramIdentity:
    process = psutil.Process(pid)
    words, folder = process.cmdline(), Path(f"/proc/{pid}/cwd").readlink()
    commit = _git(folder, ("rev-parse", "HEAD"), until_s)
    changes = _git(folder, _DIFF, until_s) if commit else b""
    return ProgramIdentity(
        name=process.name(),
        program=_file_digest(Path(f"/proc/{pid}/exe"), until_s),
        code=_digest_of(_code_files(words[1:], folder, until_s), until_s),
        packages=_digest_of(_package_lists(words[:1], folder), until_s),
        commit=commit.decode("ascii", "replace").strip()[:64],
        changes=hashlib.sha256(changes).hexdigest() if changes else "",
    )


def _file_digest(path: Path, until_s: Seconds) -> str:
    """Return the SHA-256 of a regular file; empty if it is none, is too large, or takes too long."""
    digest = hashlib.sha256()
    with suppress(OSError), os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > _MAX_FILE:
            return ""
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            if time.monotonic() > until_s:
                return ""
        return digest.hexdigest()
    return ""


def _digest_of(files: Iterable[Path], until_s: Seconds) -> str:
    """Return one digest of the names and contents of some files; empty without any, or with too many."""
    known = sorted(set(islice(files, _MAX_FILES + 1)))
    digests = [_file_digest(path, until_s) for path in known]
    if not known or len(known) > _MAX_FILES or not all(digests) or time.monotonic() > until_s:
        return ""
    lines = (f"{path.name} {digest}\n" for path, digest in zip(known, digests, strict=True))
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


def _code_files(words: Sequence[str], folder: Path, until_s: Seconds) -> Iterator[Path]:
    """Yield the files that arguments name: scripts, archives, and modules such as ``shop.main:app``."""
    for word in words[:_MAX_WORDS]:
        for part in word.split(":"):
            if part and not part.startswith("-"):
                yield from _files_at(folder / part, until_s)
            if _MODULE.fullmatch(part):
                module = folder / part.replace(".", "/")
                yield from _files_at(module, until_s)
                yield from _files_at(module.with_name(module.name + ".py"), until_s)


def _files_at(path: Path, until_s: Seconds) -> Iterator[Path]:
    with suppress(OSError, ValueError):
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from _code_below(path, until_s)


def _code_below(path: Path, until_s: Seconds) -> Iterator[Path]:
    """Yield the files with code in a folder until the time is over: it may be the root of the file system."""
    for folder, _, names in os.walk(path):
        for file in (Path(folder, name) for name in names):
            if file.suffix in _CODE and file.is_file():
                yield file
        if time.monotonic() > until_s:
            return


def _package_lists(program: Sequence[str], folder: Path) -> Iterator[Path]:
    """Yield what lists the installed packages with their digests: of a virtual environment, or of npm."""
    for word in program:
        environment = (folder / word).parent.parent
        if (environment / "pyvenv.cfg").is_file():
            yield from environment.glob("lib/python*/site-packages/*.dist-info/RECORD")
    npm = folder / "node_modules" / ".package-lock.json"
    if npm.is_file():
        yield npm


def _git(folder: Path, words: Sequence[str], until_s: Seconds) -> bytes:
    left_s = until_s - time.monotonic()
    if left_s <= 0:
        return b""
    with suppress(OSError, DidNotFinish):
        done = run_bounded([*_GIT, *words], within_s=left_s, cwd=folder)
        return done.stdout if done.status == 0 else b""
    return b""
