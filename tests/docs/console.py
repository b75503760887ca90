"""Reads the commands that the documentation shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_BLOCK: Final = re.compile(r"^( *)```console\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_PROMPT: Final = re.compile(r"^(?P<host>[a-z0-9-]*)\$ (?P<text>.*)$")
_INLINE: Final = re.compile(r"`(runner [a-z][^`]*)`")


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a page.

    Attributes:
        page: The page's path in the repository.
        text: What a reader types, without the comment behind it.
        host: The machine in front of the prompt; empty for the reader's own.
        output: The lines below it.
    """

    page: str
    text: str
    host: str
    output: tuple[str, ...]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def commands(page: Path) -> list[Command]:
    """Return the commands in the console blocks of a page, in order; a trailing backslash joins lines."""
    found: list[Command] = []
    for indent, block in _BLOCK.findall(page.read_text()):
        lines = [line.removeprefix(indent) for line in block.splitlines()]
        found += _of_block(name_of(page), lines)
    return found


def _of_block(page: str, lines: list[str]) -> Iterator[Command]:
    joined = "\n".join(lines).replace("\\\n", "").splitlines()
    starts = [number for number, line in enumerate(joined) if _PROMPT.match(line)]
    for start, end in zip(starts, [*starts[1:], len(joined)], strict=True):
        prompt = _PROMPT.match(joined[start])
        assert prompt
        yield Command(page, _typed(prompt["text"]), prompt["host"], tuple(joined[start + 1 : end]))


def _typed(text: str) -> str:
    """Return a command without its comment; a # in quotes is none."""
    lexer = shlex.shlex(text, posix=False, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    position = 0
    for word in lexer:
        if word.startswith("#"):
            return text[: text.index(word, position)].strip()
        position = text.index(word, position) + len(word)
    return text.strip()


def inline(page: Path) -> list[str]:
    """Return the command lines of `runner` that stand in sentences and tables."""
    return _INLINE.findall(page.read_text())
