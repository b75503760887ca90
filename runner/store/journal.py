"""The journal: one line per trial, on disk as soon as the trial ends.

A crash, a full disk or a `kill -9` later in the run does not lose what was measured, and every number
in a report can be computed again from these lines alone.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from runner.core import histogram
from runner.core.errors import OutputError, StoredRunError
from runner.core.facts import RunFacts, TrialFacts
from runner.core.histogram import EMPTY, Histogram
from runner.experiment.suggestions import harmless
from runner.store.bounded_read import MAX_JOURNAL, NotReadable, read_bounded
from runner.store.journal_upgrade import upgraded
from runner.store.json_text import encode_json

SCHEMA_VERSION: Final = 1
_MAX_SHOWN: Final = 200
_DAMAGED: Final = (
    "it was changed after it was written; to see the trials before it, remove this line and all below it in "
    "a copy of the run's folder"
)


class Entry(Struct, frozen=True):
    """A journal line.

    Attributes:
        run: The run at the time of writing, so never finished.
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
            The trial as it is read back, to the last digit, so that a later analysis gives the same results.

        Raises:
            OutputError: The line could not be written; earlier lines are unharmed.
        """
        entry = _entry(encode_entry(Entry(run, trial)))
        line = encode_entry(entry)  # of what is read back, so that reading and writing it changes nothing
        try:
            with self.path.open("ab") as file:
                file.write(line + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(
                f"cannot write the journal {self.path}: {error.strerror}",
                hint="free some space or choose another folder with --out; earlier trials are kept",
            ) from None
        return entry.trial

    def mend(self, lines: int) -> None:
        """Keep the first complete lines and remove what a crash left half written after them.

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
            raise OutputError(f"cannot repair the journal {self.path}: {error.strerror}") from None


def read(path: Path) -> list[Entry]:
    """Return every complete line of a journal, without a last line that a crash cut off.

    Raises:
        StoredRunError: There is no such file, it is from a newer version, or a line
            other than the last is damaged.
    """
    try:
        content = read_bounded(path, MAX_JOURNAL, "a journal")
    except NotReadable as error:
        raise StoredRunError(str(error)) from None
    return parse(content, str(path))


def parse(content: bytes, source: str) -> list[Entry]:
    """Return every complete line of the content of a journal, as `read` does.

    Args:
        content: Of the file.
        source: Its name, for messages.

    Raises:
        StoredRunError: It is from a newer version, or a line other than the last is damaged.
    """
    lines = content.splitlines()
    entries: list[Entry] = []
    for number, line in enumerate(lines, start=1):
        try:
            entries.append(_entry(line))
        except (ValueError, RecursionError) as error:
            if number == len(lines) and not isinstance(error, _NewerError):
                break
            hint = "" if isinstance(error, _NewerError) else _DAMAGED
            raise StoredRunError(f"{source}, line {number}: {_first_line(error)}", hint=hint) from None
    return entries


def encode_entry(entry: Entry) -> bytes:
    """Return a journal line as this version writes it, without the line end."""
    return encode_json(_Line(SCHEMA_VERSION, entry.run, entry.trial), _pack)


class _NewerError(ValueError):
    """The line was written by a later version."""


def _entry(line: bytes) -> Entry:
    stored = _decoder.decode(line)
    if stored.schema_version != SCHEMA_VERSION:
        raise _NewerError(
            f"schema version {stored.schema_version} is not {SCHEMA_VERSION}; use a matching Loadproof"
        )
    return Entry(stored.run, upgraded(stored.trial))


def _first_line(error: Exception) -> str:
    return harmless((str(error) or type(error).__name__).splitlines()[0][:_MAX_SHOWN])


class _PackedHistogram(Struct, frozen=True):
    """A histogram in the V2 compressed format of HdrHistogram, with the sum and maximum that it lacks."""

    hdr: str
    total_ns: int
    max_ns: int


class _Line(Struct, frozen=True, omit_defaults=True):
    """A journal line as it is stored."""

    schema_version: int
    run: RunFacts
    trial: TrialFacts


def _pack(value: object) -> _PackedHistogram | None:
    assert isinstance(value, Histogram)
    return _PackedHistogram(value.encode(), value.total_ns, value.max_ns) if value else None


def _unpack(kind: type, value: Any) -> Histogram:
    assert kind is Histogram
    if value is None:
        return EMPTY
    packed = msgspec.convert(value, _PackedHistogram)
    return _histogram(packed.hdr, packed.total_ns, packed.max_ns)


@lru_cache(maxsize=8)
def _histogram(hdr: str, total_ns: int, max_ns: int) -> Histogram:
    """Return equal histograms of a second, such as `duration` and `first_byte`, once."""
    return histogram.decode(hdr, total_ns=total_ns, max_ns=max_ns)


_decoder: Final = msgspec.json.Decoder(_Line, dec_hook=_unpack)
