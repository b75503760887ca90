"""Which commit an experiment was run from, and what was changed since.

Reads only: no hook, pager, prompt or lock of the repository is used, and credentials in the address of the
remote are left out. A missing git or repository is recorded as such and is no error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from msgspec import Struct

from runner.bounded_program import DidNotFinish, run_bounded
from runner.core.units import Seconds

SCHEMA_VERSION: Final = 1
MAX_PATHS: Final = 200
_TIMEOUT_S: Final[Seconds] = 5.0
_GIT: Final = ("git", "--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
_STATUS: Final = (
    "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=normal", "--ignore-submodules=all",
)  # fmt: skip
_FIELDS_BEFORE_PATH: Final = {"1": 8, "2": 9, "u": 10, "?": 1}
"""Type of a line of `git status --porcelain=v2` to the number of its fields before the path."""
_SSH: Final = re.compile(r"(?:[^@/\s]+@)?([\w.-]+:[^\s]+)")


class GitState(Struct, frozen=True):
    """The content of git.json.

    Attributes:
        schema_version: Of this structure.
        commit: None without one.
        branch: None if detached.
        dirty: Paths from the top of the repository that differ from the commit, at most `MAX_PATHS`.
        dirty_count: How many paths differ.
        remote: Address of ``origin`` without credentials.
        unreadable: Name of an attribute that could not be read, or ``repository``, to the reason.
    """

    schema_version: int = SCHEMA_VERSION
    commit: str | None = None
    branch: str | None = None
    dirty: tuple[str, ...] | None = None
    dirty_count: int | None = None
    remote: str | None = None
    unreadable: dict[str, str] = {}


class _NoOutput(Exception):  # noqa: N818  (a result)
    """Git printed nothing; the reason."""


def state(folder: Path) -> GitState:
    """Return the state of the repository that contains `folder`."""
    try:
        status = _run(folder, *_STATUS).split("\0")
    except _NoOutput as reason:
        return GitState(unreadable={"repository": str(reason)})
    unreadable: dict[str, str] = {}
    head = dict(line[2:].split(" ", 1) for line in status if line.startswith("# "))
    commit, branch = head.get("branch.oid"), head.get("branch.head")
    if commit == "(initial)":
        commit, unreadable["commit"] = None, "the repository has no commit"
    if branch == "(detached)":
        branch, unreadable["branch"] = None, "HEAD is detached"
    try:
        remote = without_credentials(_run(folder, "config", "--get", "remote.origin.url").strip())
    except _NoOutput as reason:
        remote, unreadable["remote"] = None, str(reason)
    paths = sorted(_changed_paths(status))
    return GitState(
        commit=commit,
        branch=branch,
        dirty=tuple(paths[:MAX_PATHS]),
        dirty_count=len(paths),
        remote=remote,
        unreadable=unreadable,
    )


def without_credentials(url: str) -> str | None:
    """Return the address of a remote without user, password and query; None for a path on this machine."""
    parts = urlsplit(url)
    if parts.scheme in {"http", "https", "ssh", "git", "git+ssh"} and parts.hostname:
        port = f":{parts.port}" if _port(parts.netloc) else ""
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return urlunsplit((parts.scheme, host + port, parts.path, "", ""))
    if not parts.scheme and (matched := _SSH.fullmatch(url)):
        return matched[1]
    return None


def _port(netloc: str) -> bool:
    return netloc.rpartition(":")[2].isdecimal()


def _changed_paths(status: list[str]) -> Iterator[str]:
    """Yield the changed paths of ``git status --porcelain=v2 -z``."""
    lines = iter(status)
    for line in lines:
        fields = _FIELDS_BEFORE_PATH.get(line[:1])
        if fields is None:
            continue
        yield line.split(" ", fields)[-1]
        if line.startswith("2"):
            next(lines, None)  # the path before it was renamed


def _run(folder: Path, *arguments: str) -> str:
    """Return what git prints.

    Raises:
        _NoOutput: It fails, takes too long, or is not installed.
    """
    quiet = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = run_bounded([*_GIT, *arguments], within_s=_TIMEOUT_S, cwd=folder, env=kept | quiet)
    except FileNotFoundError:
        raise _NoOutput("git is not installed" if folder.is_dir() else "there is no such folder") from None
    except DidNotFinish as error:
        raise _NoOutput(f"git was ended: {error}") from None
    except OSError as error:
        raise _NoOutput(f"git cannot be started: {error.strerror}") from None
    if done.status:
        raise _NoOutput(_reason(done.stderr.decode(errors="replace")))
    return done.stdout.decode(errors="replace")


def _reason(message: str) -> str:
    """Return the first line of git's message without paths of this machine."""
    first = next(iter(message.splitlines()), "")
    if "not a git repository" in message:
        return "no git repository"
    if "dubious ownership" in message:
        return "the repository belongs to another user (git: dubious ownership)"
    return re.sub(r"'/[^']*'", "a path", first) or "git has none"
