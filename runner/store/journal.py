"""One line a trial, on disk the moment the trial ends.

A crash, a full disk or a `kill -9` later in the run cannot take back what was measured,
and every number in a report can be computed again from these lines alone.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cattrs

from runner.core import histogram
from runner.core.errors import OutputError, StoredRunError
from runner.core.facts import RunFacts, TrialFacts
from runner.core.histogram import Histogram

SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """A journal line.

    Attributes:
        run: The run as it stood when the line was written, so never finished.
        trial: What happened.
    """

    run: RunFacts
    trial: TrialFacts


@dataclass(frozen=True, slots=True)
class Journal:
    """Appends to one journal file, which need not exist yet."""

    path: Path

    def append(self, run: RunFacts, trial: TrialFacts) -> TrialFacts:
        """Write one line and wait until it is on disk.

        Returns:
            The trial as it will be read back, to the last digit: what is analyzed now is what
            anybody can analyze again.

        Raises:
            OutputError: The line could not be written; earlier lines are unharmed.
        """
        line = json.dumps(
            {"schema_version": SCHEMA_VERSION, **_converter.unstructure(Entry(run, trial))},
            ensure_ascii=False,
            separators=(",", ":"),
            allow_nan=False,
        )
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(
                f"cannot write the journal {self.path}: {error.strerror}",
                hint="free some space or choose another folder with --out; earlier trials are kept",
            ) from None
        return _entry(json.loads(line)).trial

    def mend(self, lines: int) -> None:
        """Keep the first whole lines and take off what a crash left half written behind them.

        Raises:
            OutputError: The file could not be changed.
        """
        try:
            with self.path.open("r+b") as file:
                for _ in range(lines):
                    end = file.readline()
                if lines and not end.endswith(b"\n"):
                    file.write(b"\n")
                file.truncate()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(f"cannot mend the journal {self.path}: {error.strerror}") from None


def read(path: Path) -> list[Entry]:
    """Every whole line of a journal; a last line cut off by a crash is left out.

    Raises:
        StoredRunError: There is no such file, it is from a newer version, or a line
            other than the last is damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoredRunError(f"cannot read the journal {path}: {error}") from None
    return parse(content, str(path))


def parse(content: bytes, source: str) -> list[Entry]:
    """The same of a journal's bytes.

    Args:
        content: The file, byte for byte.
        source: Its name, for messages.

    Raises:
        StoredRunError: As of `read`.
    """
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise StoredRunError(f"cannot read the journal {source}: {error}") from None
    entries: list[Entry] = []
    for number, line in enumerate(lines, start=1):
        try:
            entries.append(_entry(json.loads(line)))
        except Exception as error:  # noqa: BLE001  (cattrs has plain ones for a word it does not know)
            if number == len(lines) and not isinstance(error, _NewerError):
                break
            raise StoredRunError(f"{source}, line {number}: {_first_line(error)}") from None
    return entries


class _NewerError(ValueError):
    """The line was written by a later version."""


def _entry(line: dict[str, Any]) -> Entry:
    version = line.pop("schema_version")
    if version != SCHEMA_VERSION:
        raise _NewerError(f"schema version {version} is not {SCHEMA_VERSION}; use a matching Loadproof")
    return _converter.structure(line, Entry)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _pack_histogram(value: Histogram) -> dict[str, Any] | None:
    if not value.counts:
        return None
    return {"hdr": value.encode(), "total_ns": value.total_ns, "max_ns": value.max_ns}


def _unpack_histogram(value: dict[str, Any] | None, _: type[Histogram]) -> Histogram:
    if value is None:
        return Histogram()
    return histogram.decode(value["hdr"], total_ns=int(value["total_ns"]), max_ns=int(value["max_ns"]))


def _any(value: Any, _: object) -> Any:
    return value


def _make_converter() -> cattrs.Converter:
    """Fields at their default are left out, so that a line stays small."""
    converter = cattrs.Converter(detailed_validation=False, omit_if_default=True)
    converter.register_unstructure_hook(Histogram, _pack_histogram)
    converter.register_structure_hook(Histogram, _unpack_histogram)
    converter.register_structure_hook_func(lambda kind: kind is object, _any)
    return converter


_converter: Final = _make_converter()
