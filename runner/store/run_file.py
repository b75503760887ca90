"""run.json: what a run needs to know to be taken up again after a crash, and how it ended.

Written before the first trial and once more at the end. Paths in it are relative to the
run's folder, so that it says nothing about the machine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cattrs

from runner.core.errors import StoredRunError
from runner.core.facts import RunFacts, TrialFacts
from runner.store.journal import read

SCHEMA_VERSION: Final = 1
RUN: Final = "run.json"
JOURNAL: Final = "journal.ndjson"

_SAME_HOST: Final = ("cpu_model", "cpu_count", "machine", "hypervisor")
"""Where these differ, numbers of two hosts would stand in one report."""


@dataclass(frozen=True, slots=True)
class Begun:
    """How a run was begun.

    Attributes:
        run: As it stood when this was written; finished when the run is.
        base_dir: Where the specification's relative paths start, seen from the run's folder.
        configurations: Names that the run was narrowed to; empty for all.
        stages: Likewise.
        authorized: Whether load may be put on hosts that the specification allows.
        calibrate: Whether the generator is held against a null responder first.
    """

    run: RunFacts
    base_dir: str
    configurations: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    authorized: bool = False
    calibrate: bool = True

    def as_json(self) -> bytes:
        """The file's content."""
        content = {"schema_version": SCHEMA_VERSION, **_converter.unstructure(self)}
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Earlier:
    """A run as far as it got.

    Attributes:
        begun: How it was begun.
        trials: Those that are complete; none of them is run again.
        lines: Whole lines of its journal.
    """

    begun: Begun
    trials: tuple[TrialFacts, ...]
    lines: int


def parse_begun(content: bytes, source: str) -> Begun:
    """run.json's content.

    Raises:
        StoredRunError: It is damaged or from a newer version.
    """
    try:
        found: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _unreadable(source, str(error).partition(";")[0] or type(error).__name__) from None
    if not isinstance(found, dict) or "schema_version" not in found:
        raise _unreadable(source, "an object with a schema_version was expected")
    version = found.pop("schema_version")
    if version != SCHEMA_VERSION:
        raise StoredRunError(
            f"{source} was written by another Loadproof "
            f"(schema version {version}; this one reads {SCHEMA_VERSION})",
            hint="use the Loadproof that wrote it",
        )
    try:
        return _converter.structure(found, Begun)
    except Exception as error:  # noqa: BLE001  (cattrs has plain ones for a word it does not know)
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise _unreadable(source, why) from None


def _unreadable(source: str, why: str) -> StoredRunError:
    return StoredRunError(
        f"{source} cannot be read: {why}",
        hint="the file was cut short or changed by hand",
    )


def read_earlier(folder: Path) -> Earlier:
    """What a run that was cut short has left behind.

    Raises:
        StoredRunError: There is no such run, or it is damaged.
    """
    file = folder / RUN
    try:
        content = file.read_bytes()
    except OSError as error:
        raise StoredRunError(
            f"there is no run to go on with in {folder}: {RUN}: {error.strerror}",
            hint="give --resume the folder of a run, such as reports/NAME/TIME",
        ) from None
    begun = parse_begun(content, str(file))
    journal = folder / JOURNAL
    if not journal.exists():
        return Earlier(begun, (), 0)
    entries = read(journal)
    latest = {entry.trial.order: entry.trial for entry in entries}
    complete = tuple(trial for trial in latest.values() if trial.status == "complete")
    return Earlier(begun, complete, len(entries))


def other_host(begun: Begun, environment: dict[str, object]) -> Sequence[str]:
    """What this machine differs in from the one a run was begun on, in words."""
    was = begun.run.environment
    return [
        f"{name.replace('_', ' ')}: then {was.get(name)}, now {environment.get(name)}"
        for name in _SAME_HOST
        if was.get(name) != environment.get(name)
    ]


def relative(base_dir: Path, folder: Path) -> str:
    """`base_dir` as seen from `folder`."""
    return os.path.relpath(base_dir.resolve(), folder.resolve())


def _any(value: Any, _: object) -> Any:
    return value


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(detailed_validation=False)
    converter.register_structure_hook_func(lambda kind: kind is object, _any)
    return converter


_converter: Final = _make_converter()
