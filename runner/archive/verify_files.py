"""Which files an archive must and may have, and which of them nothing in it determines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from runner.archive.crate import CRATE
from runner.archive.files import DERIVED, KEPT, NEEDED, SHOWN
from runner.archive.inputs import FOLDER, INPUTS, check_kept
from runner.archive.manifest import MANIFEST
from runner.archive.provenance import AFTER, BEFORE, GIT, LOGS, RENDERED, SOFTWARE
from runner.core.errors import ArchiveDamaged
from runner.experiment.suggestions import harmless
from runner.store.run_file import JOURNAL, RUN

_REQUIRED: Final = (*NEEDED, *DERIVED)
_WRITTEN: Final = (*_REQUIRED, *KEPT, *SHOWN, MANIFEST)
_JSON_OBJECTS: Final = (BEFORE, AFTER, GIT, SOFTWARE, INPUTS, CRATE)
"""Files that contain one JSON object each, which nothing else checks."""
_SCHEMA_VERSION: Final = 1
_RECORDED: Final = (
    ((BEFORE, AFTER), "facts of the host"),
    ((GIT,), "the commit"),
    ((SOFTWARE,), "the versions of Loadproof and its packages"),
    ((INPUTS, f"{FOLDER}/*"), "the files that requests sent"),
    ((f"{RENDERED}/*/*",), "configuration files as they were generated for the run"),
    ((f"{LOGS}/*/*.log",), "output of the programs"),
)
"""What was recorded during the run: patterns of names, and what the files contain."""
_MAX_NAMES: Final = 3


def check_files(files: Mapping[str, bytes], where: str) -> None:
    """Raise ArchiveDamaged unless every required file is present, and none that no run writes."""
    if missing := [name for name in _REQUIRED if name not in files]:
        raise ArchiveDamaged(f"{where}: {', '.join(missing)} is missing", hint="the archive is incomplete")
    if unknown := sorted(name for name in files if not _is_written(name)):
        raise ArchiveDamaged(
            f"{where}: no run writes {', '.join(map(harmless, unknown[:3]))}", hint="do not trust it"
        )
    for name in _JSON_OBJECTS:
        if name in files:
            _check_json_object(files[name], f"{where}: {name}")
    check_kept(files, f"{where}: ")


def not_verified(files: Mapping[str, bytes], superseded: Sequence[int], charts: str) -> list[str]:
    """Return what nothing in the archive determines, one phrase for each kind.

    Args:
        files: Of the archive.
        superseded: Numbers of the journal's lines that no number is computed from.
        charts: Why its charts could not be verified; empty if they were.
    """
    phrases = [
        f"{JOURNAL}: what was measured, when, and on which system; all numbers are computed from it",
        f"{RUN}: when, where and how the run was started and how it ended",
    ]
    if superseded:
        numbers = ", ".join(map(str, superseded))
        phrases.append(f"{JOURNAL}, line {numbers}: a trial that was run again later")
    for patterns, content in _RECORDED:
        if names := [name for name in sorted(files) if any(_matches(name, p) for p in patterns)]:
            phrases.append(f"{_some(names)}: {content}")
    if charts:
        phrases.append(f"{_some([name for name in sorted(files) if name.endswith('.svg')])}: {charts}")
    return phrases


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MAX_NAMES])
    return f"{shown} and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else shown


def _is_written(name: str) -> bool:
    return any(_matches(name, pattern) for pattern in _WRITTEN)


def _matches(name: str, pattern: str) -> bool:
    """Whether a name matches a pattern; an asterisk does not match a slash."""
    return name.count("/") == pattern.count("/") and fnmatchcase(name, pattern)


def _check_json_object(content: bytes, where: str) -> None:
    """Raise ArchiveDamaged unless this is a JSON object, and not one of a newer version."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise ArchiveDamaged(f"{where} is no JSON", hint="do not trust it") from None
    if not isinstance(document, dict):
        raise ArchiveDamaged(f"{where} is no JSON object", hint="do not trust it")
    version = document.get("schema_version", _SCHEMA_VERSION)
    if not isinstance(version, int) or version > _SCHEMA_VERSION:
        raise ArchiveDamaged(
            f"{where} was written by a newer version of Loadproof (schema version {harmless(str(version))})",
            hint="update Loadproof and try again",
        )
