"""What a fuzz target is, and which refusals of an input are proper ones."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TypeVar

from runner.core.errors import LoadproofError

T = TypeVar("T")
HERE = Path(__file__).parent
NAMES = tuple(sorted(path.stem for path in (HERE / "targets").glob("*.py")))
_PYTHON = re.compile(r"Traceback|NoneType| object at 0x|\bmsgspec\b|\bpydantic\b|unhashable|not iterable")
_MAX_MESSAGE = 2_000


@dataclass(frozen=True)
class Target:
    """Something that reads data from outside.

    Attributes:
        seeds: Valid inputs to begin with.
        check: Takes any input; raises for a finding.
        mutate: Returns an input that is like a given one.
        max_bytes: Of an input.
    """

    seeds: Callable[[], Iterable[bytes]]
    check: Callable[[bytes], None]
    mutate: Callable[[bytes, Random], bytes]
    max_bytes: int


def load(name: str) -> Target:
    """Return a target by its name, one of `NAMES`."""
    target: Target = importlib.import_module(f"tests.fuzz.targets.{name}").TARGET
    return target


def inputs(name: str) -> list[bytes]:
    """Return the seeds of a target and the inputs that are kept, in a fixed order."""
    kept = sorted((HERE / "corpus" / name).glob("*"))
    return [*load(name).seeds(), *(path.read_bytes() for path in kept)]


def accepted(read: Callable[[], T]) -> T | None:
    """Return what is read; None if it is refused with a proper error."""
    try:
        return read()
    except LoadproofError as error:
        check_error(error)
        return None


def check_error(error: LoadproofError) -> None:
    """Raise if an error is not fit to be shown."""
    message = error.message
    assert message.strip(), "an error without a message"
    assert len(message) <= _MAX_MESSAGE, f"an error of {len(message)} characters"
    for text in (message, error.hint, *error.details):
        text.encode()  # no lone surrogates
        assert not _PYTHON.search(text), f"an error that speaks of Python: {text!r}"
    lines = (message, error.hint, *(line for detail in error.details for line in detail.split("\n")))
    unprintable = [line for line in lines if not line.isprintable()]
    assert not unprintable, f"an error with control characters: {unprintable[0]!r}"
