"""Templates: ``${name}`` inserts a value, ``${name.key}`` a part of it; ``$${`` is a literal ``${``.

What a value looks like in the request depends on where it stands: a space is ``%20`` in a path, ``+`` in a
form and a space in a header. Workers use this module as well, so it imports nothing heavy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache, lru_cache
from typing import Final, NamedTuple, TypeAlias
from urllib.parse import quote, quote_plus

NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,47}")
"""What a variable can be called."""

URL_CHARACTERS: Final = "%:/?#[]@!$&'(),;=+*-._~"
"""What a URL may contain beside letters and digits (RFC 3986)."""

_REFERENCE: Final = re.compile(rf"\$\{{({NAME.pattern})(?:\.([^{{}}\r\n]{{1,200}}))?\}}")
_OPENING: Final = re.compile(r"\$?\$\{")
_ESCAPED: Final = "$${"
_SHOWN: Final = 40


class Position(StrEnum):
    """Where a text stands in a request; decides how values in it are encoded.

    `VALUE` is a JSON string that is only one reference: a value there keeps its type. A value in a `URL` may
    be a URL itself, so that only characters are encoded that no URL contains.
    """

    PATH = "path"
    QUERY = "query"
    HEADER = "header"
    BODY = "body"
    JSON = "json"
    VALUE = "value"
    FORM = "form"
    MULTIPART = "multipart"
    URL = "url"


class Reference(NamedTuple):
    """A variable that a text refers to.

    Attributes:
        name: Of the variable.
        path: What follows the name and a dot: a column, or keys separated by dots; empty for the whole value.
    """

    name: str
    path: str = ""

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"${{{self.name}.{self.path}}}" if self.path else f"${{{self.name}}}"


Piece: TypeAlias = str | Reference


class TemplateError(ValueError):
    """A text is no template.

    Attributes:
        message: What is wrong, without a full stop.
        hint: What to do about it.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


@lru_cache(maxsize=1024)
def parse(text: str) -> tuple[Piece, ...]:
    """Return the literal pieces of a text and its references, in order.

    Raises:
        TemplateError: A ``${`` is not closed, or encloses no name.
    """
    pieces: list[Piece] = []
    at = 0
    while opening := _OPENING.search(text, at):
        pieces.append(text[at : opening.start()])
        if opening[0] == _ESCAPED:
            pieces.append("${")
            at = opening.end()
        else:
            reference, at = _reference(text, opening.start())
            pieces.append(reference)
    pieces.append(text[at:])
    return tuple(piece for piece in pieces if piece)


def _reference(text: str, start: int) -> tuple[Reference, int]:
    """Return the reference that begins at `start`, and where it ends."""
    if matched := _REFERENCE.match(text, start):
        return Reference(matched[1], matched[2] or ""), matched.end()
    hint = "write ${name}, or $${ for a literal ${"
    end = text.find("}", start)
    if end < 0:
        raise TemplateError(f"'{_excerpt(text[start:])}' is not closed by '}}'", hint)
    raise TemplateError(f"'{_excerpt(text[start : end + 1])}' does not enclose the name of a variable", hint)


def _excerpt(text: str) -> str:
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:_SHOWN])
    return shown + "…" if len(text) > _SHOWN else shown


def has_opening(text: str) -> bool:
    """Return whether a text contains a ``${`` that is not escaped."""
    return any(opening[0] != _ESCAPED for opening in _OPENING.finditer(text))


def unescaped(text: str) -> str:
    """Return a text that has no variables, with each ``$${`` as the literal ``${``."""
    return text.replace(_ESCAPED, "${")


def references(text: str) -> tuple[Reference, ...]:
    """Return the references in a text, each as often as it occurs."""
    return tuple(piece for piece in parse(text) if isinstance(piece, Reference))


def names(text: str) -> tuple[str, ...]:
    """Return the names of the variables in a text, each as often as it occurs."""
    return tuple(reference.name for reference in references(text))


def position_of(text: str, position: Position) -> Position:
    """Return where the references in a text stand: in a JSON string that is only one, the value itself."""
    alone = position is Position.JSON and len(parse(text)) == len(references(text)) == 1
    return Position.VALUE if alone else position


def assembled(text: str, position: Position, insert: Callable[[Reference, Position], str]) -> str:
    """Return a text as it is sent: its literal pieces encoded for their position, its variables inserted.

    Args:
        text: A template.
        position: Where it stands. A path is encoded already, as the user writes it.
        insert: Returns what replaces a reference, from it and its position.
    """
    encode = _unchanged if position is Position.PATH else ENCODERS[position]
    return "".join(
        insert(piece, position) if isinstance(piece, Reference) else encode(piece) for piece in parse(text)
    )


def filled(text: str, position: Position, values: Mapping[str, str]) -> str:
    """Return a text as it is sent, with the values of its variables.

    Args:
        text: A template.
        position: Where it stands.
        values: Name to value of every variable in it.
    """
    return assembled(text, position, lambda reference, at: ENCODERS[at](values[reference.name]))


def json_text(value: str) -> str:
    """Return a value as the inside of a JSON string."""
    return _json_encoder()(value)[1:-1]


@cache
def _json_encoder() -> Callable[[str], str]:
    import json  # noqa: PLC0415  (only requests with JSON pay for it)

    return json.JSONEncoder(ensure_ascii=False).encode


def _json_string(value: str) -> str:
    return f'"{json_text(value)}"'


def _percent(value: str) -> str:
    return value if _needs_no_percent(value) else quote(value, safe="")


def _form(value: str) -> str:
    return value if _needs_no_percent(value) else quote_plus(value)


def _needs_no_percent(value: str) -> bool:
    """Return whether a text is plainly the same when it is encoded; saves most of the time of `quote`."""
    return value.isascii() and value.isalnum()


def _url(value: str) -> str:
    return quote(value.strip(), safe=URL_CHARACTERS)


def _unchanged(value: str) -> str:
    return value


ENCODERS: Final[Mapping[Position, Callable[[str], str]]] = {
    Position.PATH: _percent,
    Position.QUERY: _percent,
    Position.HEADER: _unchanged,
    Position.BODY: _unchanged,
    Position.JSON: json_text,
    Position.VALUE: _json_string,
    Position.FORM: _form,
    Position.MULTIPART: _unchanged,
    Position.URL: _url,
}
"""Position to what encodes a value there."""
