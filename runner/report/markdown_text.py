"""Markdown that is escaped by construction: only text of the type `Markdown` counts as markup.

All other text, such as text from specifications, services and stored results, is escaped when it is inserted
into a template. A forgotten call therefore shows backslashes; it cannot let markup in. markupsafe does the
same for HTML.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from string import Formatter
from typing import Any, Final, LiteralString

from markupsafe import Markup

from runner.core.ci_commands import without_ci_commands
from runner.report import number_format

_SPECIAL: Final = re.compile(
    r"""
      [\\`*_{}\[\]#|~@$]              # emphasis, code, links, headings, tables, mentions, formulas
    | <(?![ =]) | (?<![ ])> | >(?![ =])   # tags and quotations, but not the signs of "a < 1" and "a >= 1"
    | &(?=[#A-Za-z])                # entities
    | :(?=//) | (?<=www)\.          # addresses that become links by themselves
    | ^[-+=](?=[-+= ]|$)            # bullet lists, rules and underlined headings
    | ^:(?=:)                       # commands of a CI system in whose log a report is printed
    """,
    re.VERBOSE | re.IGNORECASE,
)
_CONTROLS: Final = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_NUMBERED: Final = re.compile(r"^([0-9]{1,9})([.)])(?= |$)")
_MARKED: Final = re.compile(r"\\([!-/:-@\[-`{-~])|\*\*")
_BARE_BAR: Final = re.compile(r"(?<!\\)\|")
_SHORT: Final = 200
"""Characters of texts that are kept escaped."""


class Markdown(str):
    """Text that is markup: made by this module, or one of our literals."""

    __slots__ = ()


EMPTY: Final = Markdown("")


@dataclass(frozen=True, slots=True)
class Section:
    """A table with its texts; the template leaves out what is empty, and escapes the heading."""

    table: Markdown
    heading: str = ""
    sentence: Markdown = EMPTY
    method: Markdown = EMPTY
    lines: tuple[Markdown, ...] = ()


def escape(value: object) -> Markdown:
    """Return text on one line without any meaning to Markdown or HTML; `Markdown` is returned unchanged."""
    if isinstance(value, Markdown):
        return value
    text = str(value)
    return _kept(text) if len(text) <= _SHORT else _escaped(text)


def _escaped(text: str) -> Markdown:
    text = _SPECIAL.sub(r"\\\g<0>", without_controls(" ".join(text.split())))
    return Markdown(_NUMBERED.sub(r"\1\\\2", text))


_kept: Final = lru_cache(maxsize=1024)(_escaped)
"""Most cells of a report's tables repeat others, and the page repeats the report."""


def without_controls(text: str) -> str:
    """Return a line with replacement characters for what a terminal may obey and no file can hold.

    These are control characters but the tab, changes of the writing direction, and halves of characters.
    """
    return text if text.isprintable() else _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


def visible(value: object) -> object:
    """Return text with replacement characters as of `without_controls`, line by line; HTML and others as is.

    Templates of HTML pages pass everything that they insert through it, by `finalize`.
    """
    if not isinstance(value, str) or isinstance(value, Markup) or value.isprintable():
        return value
    return "\n".join(map(without_controls, value.split("\n")))


class _Escaping(Formatter):
    """Formats like `str.format`, knows `NAMED_FORMATS`, and escapes every value that is not `Markdown`."""

    def format_field(self, value: Any, format_spec: str) -> Any:
        if known := number_format.NAMED_FORMATS.get(format_spec):
            return escape(known(value))
        return escape(value if not format_spec else format(value, format_spec))


_ESCAPING = _Escaping()


def markdown(template: LiteralString, /, *args: object, **values: object) -> Markdown:
    """Return a template filled as `str.format` does; every value that is not `Markdown` is escaped.

    The template is a literal, never a text with values in it: its markup counts. A placeholder such as
    ``{:rate}`` applies one of `number_format.NAMED_FORMATS`.
    """
    return Markdown(_ESCAPING.vformat(template, args, values))


def join(separator: LiteralString, parts: Iterable[object]) -> Markdown:
    """Return parts, each escaped unless it is `Markdown`, joined by a literal."""
    return Markdown(separator.join(escape(part) for part in parts))


def listed(items: Iterable[object]) -> Markdown:
    """Return items as a sentence has them: "a", "a and b", "a, b and c"."""
    return Markdown(number_format.listed([escape(item) for item in items]))


def unmarked(text: Markdown) -> str:
    """Return Markdown as plain text for a terminal: without emphasis and escapes."""
    return _MARKED.sub(lambda match: match[1] or "", text)


def paragraphs(text: str) -> Markdown:
    """Return text of several lines, escaped; its empty lines remain."""
    return join("\n\n", re.split(r"\n\s*\n", text.strip()))


def code(text: str) -> Markdown:
    """Return a code span; text that no code span in a table can show is escaped instead.

    So is text with a command of a CI system in whose log a report is printed.
    """
    flat = without_controls(" ".join(text.split()))
    if not flat or "\\|" in flat or without_ci_commands(f"`{flat}") != f"`{flat}":
        return escape(flat)
    fence = "`" * (max((len(run) for run in re.findall(r"`+", flat)), default=0) + 1)
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return Markdown(f"{fence}{pad}{flat}{pad}{fence}")


def block(lines: Sequence[str]) -> Markdown:
    """Return a fenced block of code that its content cannot close.

    It contains no command of a CI system in whose log a report is printed.
    """
    lines = [line for text in lines for line in text.rstrip("\r\n").split("\n")]
    lines = [without_ci_commands(without_controls(line)) for line in lines]
    longest = max((len(run) for line in lines for run in re.findall(r"`{3,}", line)), default=2)
    fence = "`" * (longest + 1)
    return Markdown("\n".join([f"{fence}text", *lines, fence]))


def table(
    head: Sequence[object],
    rows: Sequence[Sequence[object]],
    *,
    figures: bool = True,
    words: Collection[int] = (),
) -> Markdown:
    """Return a table; cells that are not `Markdown` are escaped.

    With `figures`, all columns but the first are aligned right, except those in `words`, counted from 0.
    """
    right = [figures and n > 0 and n not in words for n in range(len(head))]
    cells = [[_BARE_BAR.sub(r"\|", escape(cell)) for cell in row] for row in [head, *rows]]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    rule = ["-" * (width - 1) + "-:"[to_right] for width, to_right in zip(widths, right, strict=True)]
    return Markdown("\n".join(_row(row, widths, right) for row in [cells[0], rule, *cells[1:]]))


def _row(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    columns = zip(cells, widths, right, strict=True)
    shown = (cell.rjust(width) if to_right else cell.ljust(width) for cell, width, to_right in columns)
    return f"| {' | '.join(shown)} |"
