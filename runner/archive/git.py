"""Which commit an experiment was run from, and what was changed since.

Only looks: no hook, pager, prompt or lock of the repository is touched, and credentials in
the remote's address are left out. No git and no repository are answers, not faults.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from runner.core.units import Seconds

SCHEMA_VERSION: Final = 1
MOST_PATHS: Final = 200
_PATIENCE_S: Final[Seconds] = 5.0
_SAFE: Final = ("git", "--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
_SSH: Final = re.compile(r"(?:[^@/\s]+@)?([\w.-]+:[^\s]+)")


class _Silent(Exception):  # noqa: N818  (an answer)
    """Git gave no answer; the reason."""


def state(folder: Path) -> dict[str, object]:
    """The state of the repository that `folder` lies in.

    Returns:
        ``commit``, ``branch`` (None when detached), ``dirty`` (paths from the repository's top
        that differ from the commit), ``dirty_count`` and ``remote``; what is not known is None
        with the reason under ``unreadable``.
    """
    found: dict[str, object] = dict.fromkeys(("commit", "branch", "dirty", "dirty_count", "remote"))
    unreadable: dict[str, str] = {}
    try:
        _ask(folder, "rev-parse", "--is-inside-work-tree")
    except _Silent as silent:
        unreadable["repository"] = str(silent)
        return {"schema_version": SCHEMA_VERSION, **found, "unreadable": unreadable}
    for name, arguments in _QUESTIONS.items():
        try:
            found[name] = _ask(folder, *arguments)
        except _Silent as silent:
            unreadable[name] = str(silent)
    status = found["dirty"]
    paths = _paths(status) if isinstance(status, str) else None
    found["dirty_count"] = len(paths) if paths is not None else None
    found["dirty"] = paths[:MOST_PATHS] if paths is not None else None
    remote = found["remote"]
    found["remote"] = without_credentials(remote.strip()) if isinstance(remote, str) else None
    return {"schema_version": SCHEMA_VERSION, **found, "unreadable": unreadable}


_QUESTIONS: Final = {
    "commit": ("rev-parse", "--verify", "HEAD"),
    "branch": ("symbolic-ref", "--short", "HEAD"),
    "dirty": ("status", "--porcelain=v1", "-z", "--untracked-files=normal", "--ignore-submodules=all"),
    "remote": ("config", "--get", "remote.origin.url"),
}


def without_credentials(url: str) -> str | None:
    """A remote's address without user, password and query; None for a path of this machine."""
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


def _paths(status: str) -> list[str]:
    """Changed paths of ``git status --porcelain -z``; a renamed one is followed by its old name."""
    entries = iter(status.split("\0"))
    found = []
    for entry in entries:
        if not entry:
            continue
        found.append(entry[3:])
        if "R" in entry[:2] or "C" in entry[:2]:
            next(entries, None)
    return sorted(found)


def _ask(folder: Path, *arguments: str) -> str:
    """What git prints.

    Raises:
        _Silent: It says no, takes too long, or is not there.
    """
    calm = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            [*_SAFE, *arguments],
            cwd=folder,
            env=kept | calm,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=_PATIENCE_S,
        )
    except FileNotFoundError:
        raise _Silent("git is not installed" if folder.is_dir() else "there is no such folder") from None
    except subprocess.TimeoutExpired:
        raise _Silent(f"git did not answer within {_PATIENCE_S:.0f} s") from None
    except OSError as error:
        raise _Silent(f"git cannot be started: {error.strerror}") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace")
        raise _Silent("no git repository" if "not a git repository" in said else _reason(said))
    text = done.stdout.decode(errors="replace")
    return text if "-z" in arguments else text.strip()


def _reason(said: str) -> str:
    """Git's first words; its dubious-ownership message names a path of this machine."""
    first = next(iter(said.splitlines()), "")
    if "dubious ownership" in first:
        return "the repository belongs to another user (git: dubious ownership)"
    return "git has none" if not first else re.sub(r"'/[^']*'", "a path", first)
