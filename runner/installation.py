"""How this Loadproof was installed: its version, the commit it was made of, and how to add an extra."""

from __future__ import annotations

import re
import shlex
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final, Literal

import msgspec

from runner.bounded_program import DidNotFinish, run_bounded
from runner.core.units import Bytes, Seconds

Installer = Literal["pip", "pipx", "uv"]

_NAME: Final = "loadproof"
_PACKAGE: Final = Path(__file__).parent
_NOTE: Final = _PACKAGE / "source_commit.json"
"""Written by infra/wheels/build_commands.py into wheels and source distributions."""
_GIT_WITHIN_S: Final[Seconds] = 5.0
_GIT_PRINTS: Final[Bytes] = 1_048_576
_REQUIREMENT: Final = re.compile(r"(?P<package>[^;]+);.*\bextra == ['\"](?P<extra>[A-Za-z0-9._-]+)['\"]")


class Source(msgspec.Struct, frozen=True):
    """What the code was made of.

    Attributes:
        commit: Of its repository; None if unknown.
        changed: Whether its files differed from the commit; None if unknown.
    """

    commit: str | None = None
    changed: bool | None = None


def installed_version() -> str | None:
    """Return the version of the distribution; None if it is not installed as a package."""
    with suppress(PackageNotFoundError):
        return distribution(_NAME).version
    return None


def source() -> Source:
    """Return what the code was made of: as noted when it was packed, or as git says of a checkout."""
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(_NOTE.read_bytes(), type=Source)
    checkout = _PACKAGE.parent
    if not (checkout / ".git").exists():
        return Source()
    commit = _git(checkout, "rev-parse", "HEAD")
    if commit is None:
        return Source()
    changes = _git(checkout, "status", "--porcelain", "--untracked-files=no")
    return Source(commit, None if changes is None else bool(changes))


def _git(checkout: Path, *words: str) -> str | None:
    try:
        done = run_bounded(
            ["git", "-C", str(checkout), *words], within_s=_GIT_WITHIN_S, max_output=_GIT_PRINTS
        )
    except (OSError, DidNotFinish):
        return None
    return None if done.status else done.stdout.decode(errors="replace").strip()


def installer(prefix: Path | None = None) -> Installer:
    """Return what made the environment that this runs in; pip also where it cannot be told.

    Args:
        prefix: The environment's folder; None for that of this process.
    """
    prefix = Path(sys.prefix) if prefix is None else prefix
    if (prefix / "pipx_metadata.json").is_file():
        return "pipx"
    if (prefix / "uv-receipt.toml").is_file():
        return "uv"
    return "pip"


def how_to_add(extra: str, *, prefix: Path | None = None) -> str:
    """Return the command line that adds an extra to this installation.

    For pipx and uv it names the packages of the extra: given ``loadproof[EXTRA]``, pipx would forget where
    Loadproof itself came from, and uv would look for it in the package index.

    Args:
        extra: Its name, such as ``app``.
        prefix: The environment's folder; None for that of this process.
    """
    prefix = Path(sys.prefix) if prefix is None else prefix
    by = installer(prefix)
    packages = shlex.join(_packages_of(extra))
    if by == "pip" or not packages:
        return f"pip install '{_NAME}[{extra}]'"
    if by == "pipx":
        return f"pipx inject {_NAME} {packages}"
    return f"uv pip install --python {shlex.quote(str(prefix))} {packages}"


def _packages_of(extra: str) -> list[str]:
    try:
        requirements = distribution(_NAME).requires or []
    except PackageNotFoundError:
        return []
    matches = filter(None, map(_REQUIREMENT.match, requirements))
    return [match["package"].strip() for match in matches if match["extra"] == extra]
