"""Renders problems in a specification: place, path, message, the line, a caret, a hint."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from unicodedata import east_asian_width

from runner.core.errors import Problem, SpecificationError
from runner.experiment.suggestions import harmless
from runner.experiment.yaml.tree import Mark

MAX_SHOWN: Final = 50
_LINE_BREAK: Final = re.compile(r"\r\n|\r|\n")
_LINE_WIDTH: Final = 100
_URL_PASSWORD: Final = re.compile(r"(?<=:/)(/{0,2}[^\s/:@]{0,200}:)([^\s/@]{1,200})(?=@)")


class Fault(NamedTuple):
    """One problem, before it is rendered: the message has no full stop, path and hint may be empty."""

    mark: Mark
    path: str
    message: str
    hint: str = ""


class Refused(Exception):  # noqa: N818  (``except Refused``: the input is refused)
    """Reading cannot continue after this fault; takes the fields of a `Fault`."""

    def __init__(self, mark: Mark, path: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.fault = Fault(mark, path, message, hint)


def lines_of(text: str) -> list[str]:
    """Return the lines as YAML counts them; never empty."""
    return _LINE_BREAK.split(text)


def in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Return each fault once: those in the file from top to bottom, then those in each ``--set``."""
    unique: dict[tuple[Mark, str, str], Fault] = {}
    for fault in faults:
        unique.setdefault((fault.mark, fault.path, fault.message), fault)
    by_mark = sorted(unique.values(), key=lambda fault: (fault.mark.line, fault.mark.column))
    return sorted(by_mark, key=lambda fault: fault.mark.override or "")


def specification_error(source: str, lines: Sequence[str], faults: Sequence[Fault]) -> SpecificationError:
    """Return all faults, at least one, as one error; only the first `MAX_SHOWN` are rendered."""
    rendered = [_render(source, lines, fault) for fault in faults[:MAX_SHOWN]]
    if len(faults) > MAX_SHOWN:
        rendered.append(f"… and {len(faults) - MAX_SHOWN} more problems")
    count = "1 problem" if len(faults) == 1 else f"{len(faults)} problems"
    return SpecificationError(
        f"{source}: {count}", problems=tuple(rendered), positions=tuple(map(_problem, faults))
    )


def _problem(fault: Fault) -> Problem:
    mark = fault.mark
    line, column = (mark.line, mark.column) if mark.override is None else (None, None)
    return Problem(line=line, column=column, path=fault.path, message=fault.message, hint=fault.hint)


def _render(source: str, lines: Sequence[str], fault: Fault) -> str:
    mark = fault.mark
    if mark.override is None:
        file = source.replace("\n", "\N{REPLACEMENT CHARACTER}")
        place, gutter, line = f"{file}:{mark.line}:{mark.column}", str(mark.line), lines[mark.line - 1]
    else:
        place, gutter, line = "--set", "", mark.override
    text, before, width = _excerpt(line, mark)
    path = f"{harmless(fault.path)}: " if fault.path else ""
    parts = [
        f"{place}: {path}{fault.message}",
        f"  {gutter} | {text}",
        f"  {' ' * len(gutter)} | {' ' * before}{'^' * width}",
    ]
    return "\n".join([*parts, f"  {fault.hint}"] if fault.hint else parts)


def _excerpt(line: str, mark: Mark) -> tuple[str, int, int]:
    """Return the part of a line around a mark, the number of cells before the caret, and its width."""
    start = mark.column - 1
    line = _URL_PASSWORD.sub(lambda found: found[1] + "*" * len(found[2]), line)
    first = 0 if start < _LINE_WIDTH * 3 // 4 else start - _LINE_WIDTH // 4
    cut = harmless(line[first : first + _LINE_WIDTH].replace("\t", " "))
    ahead = "…" if first else ""
    after = "…" if first + _LINE_WIDTH < len(line) else ""
    under = cut[start - first : start - first + mark.width]
    return ahead + cut.rstrip() + after, _cells(ahead + cut[: start - first]), max(_cells(under), 1)


def _cells(text: str) -> int:
    """Return how many terminal columns the text takes."""
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)
