"""Problems as people read them: place, path, message, the line, a caret, a hint."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from unicodedata import east_asian_width

from runner.core.errors import Problem, SpecificationError
from runner.experiment.suggestions import harmless
from runner.experiment.yaml.tree import Mark

MAX_SHOWN: Final = 50
_LINE_BREAK: Final = re.compile(r"\r\n|\r|\n")
_LINE_WIDTH: Final = 100


@dataclass(frozen=True, slots=True)
class Fault:
    """One problem, before it is rendered.

    Attributes:
        mark: Where.
        path: Such as ``stages[0].rps``; may be empty.
        message: What, without a trailing full stop.
        hint: What to do, or an empty string.
    """

    mark: Mark
    path: str
    message: str
    hint: str = ""


class Refused(Exception):  # noqa: N818  (reads as the sentence it is)
    """Reading cannot go on past this fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def lines_of(text: str) -> list[str]:
    """The lines as YAML counts them; never empty."""
    return _LINE_BREAK.split(text)


def in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Each fault once: the file's from top to bottom, then those of each ``--set``."""

    def place(fault: Fault) -> tuple[str, int, int]:
        return fault.mark.override or "", fault.mark.line, fault.mark.column

    once: dict[tuple[Mark, str, str], Fault] = {}
    for fault in faults:
        once.setdefault((fault.mark, fault.path, fault.message), fault)
    return sorted(once.values(), key=place)


def specification_error(source: str, lines: Sequence[str], faults: Sequence[Fault]) -> SpecificationError:
    """All faults as one error.

    Args:
        source: The file's name.
        lines: The file's lines.
        faults: At least one, in the order to show. Those past `MAX_SHOWN` are only counted.
    """
    rendered = [_render(source, lines, fault) for fault in faults[:MAX_SHOWN]]
    if len(faults) > MAX_SHOWN:
        rendered.append(f"… and {len(faults) - MAX_SHOWN} more problems")
    count = "1 problem" if len(faults) == 1 else f"{len(faults)} problems"
    return SpecificationError(
        f"{source}: {count}", problems=tuple(rendered), positions=tuple(map(_problem, faults))
    )


def _problem(fault: Fault) -> Problem:
    in_file = fault.mark.override is None
    return Problem(
        line=fault.mark.line if in_file else None,
        column=fault.mark.column if in_file else None,
        path=fault.path,
        message=fault.message,
        hint=fault.hint,
    )


def _render(source: str, lines: Sequence[str], fault: Fault) -> str:
    mark = fault.mark
    if mark.override is None:
        place, gutter, line = f"{source}:{mark.line}:{mark.column}", str(mark.line), lines[mark.line - 1]
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
    """The part of a line around a mark, the cells before the caret, the caret's width."""
    start = mark.column - 1
    first = 0 if start < _LINE_WIDTH * 3 // 4 else start - _LINE_WIDTH // 4
    cut = harmless(line[first : first + _LINE_WIDTH].replace("\t", " "))
    ahead = "…" if first else ""
    after = "…" if first + _LINE_WIDTH < len(line) else ""
    under = cut[start - first : start - first + mark.width]
    return ahead + cut.rstrip() + after, _cells(ahead + cut[: start - first]), max(_cells(under), 1)


def _cells(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)
