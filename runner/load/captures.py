"""Takes values out of the responses to a step's request, in workers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import msgspec

from runner.core import jsonpath, regex
from runner.core.rows import json_of
from runner.core.units import BYTES_PER_MIB, Bytes, Nanoseconds
from runner.load.checks import decoded, header_fields
from runner.load.cookies import CookieJar
from runner.load.drawing import below
from runner.load.json_problem import json_problem
from runner.load.scenario_order import ExtractOrder
from runner.load.tolerant_parser import MAX_KEPT

MAX_TEXT: Final = 64 * 1024
"""Characters of the longest text that can be extracted."""
MAX_JSON: Final[Bytes] = BYTES_PER_MIB
"""The largest object or list."""
_CHARSET: Final = re.compile(
    rb"\ncontent-type[ \t]*:[^\r\n]*?;[ \t]*charset=[\"']?(iso-8859-[0-9]{1,2}|latin1|us-ascii"
    rb"|windows-125[0-8]|koi8-[ru]|gbk|gb2312|gb18030|big5|euc-jp|euc-kr|shift_jis)\b",
    re.IGNORECASE,
)
_LATIN: Final = frozenset({"iso-8859-1", "latin1", "us-ascii"})
"""What browsers read as windows-1252."""
_MAX_MARKUP: Final = BYTES_PER_MIB
"""Characters in which HTML entities are decoded; many millions of them would stop a worker for seconds."""
MAX_VALUES: Final = 1000
"""How many values ``pick: all`` takes."""


class User(Protocol):
    """Whose values they are.

    Attributes:
        values: Name to extracted value.
        jar: Cookies.
        position: Where the random numbers of its next step are.
    """

    values: dict[str, Any]
    jar: CookieJar

    @property
    def position(self) -> int:
        """See above."""


class Reading:
    """One response, decoded as far as something asks for it."""

    __slots__ = ("_body", "_document", "_fields", "_has_document", "_head", "_is_decoded", "jar", "now_ns")

    def __init__(self, head: bytes, body: bytes | bytearray, jar: CookieJar, now_ns: Nanoseconds) -> None:
        self._head, self._body, self.jar, self.now_ns = head, body, jar, now_ns
        self._fields: dict[str, str] | None = None
        self._is_decoded = self._has_document = False
        self._document: Any = None

    def header(self, name: str) -> str | None:
        """Return the value of a header, its name in small letters; None if there is none."""
        if self._fields is None:
            self._fields = header_fields(self._head)
        return self._fields.get(name)

    def body(self) -> bytes | bytearray:
        """Return the body without its content coding.

        Raises:
            ValueError: It is damaged or too large.
        """
        if not self._is_decoded:
            if len(self._body) > MAX_KEPT:
                raise ValueError("the body is too large")
            if b"\ncontent-encoding" in self._head.lower():
                self._body = decoded(bytes(self._body), self.header("content-encoding") or "")
            self._is_decoded = True
        return self._body

    def text(self) -> bytes:
        """Return the body as UTF-8, if its Content-Type says in which charset it is.

        Raises:
            ValueError: As for `body`.
        """
        body = bytes(self.body())
        charset = None if body.isascii() else _CHARSET.search(self._head)
        if charset is None:
            return body
        name = charset[1].decode().lower()
        try:
            return body.decode("cp1252" if name in _LATIN else name, "replace").encode()
        except LookupError:  # there is no ISO 8859-12
            return body

    def document(self) -> Any:
        """Return the JSON in the body.

        Raises:
            ValueError: The body cannot be read as JSON; says why.
        """
        if not self._has_document:
            try:
                self._document = msgspec.json.decode(self.body())
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise ValueError(json_problem(bytes(self.body()), error)) from None
            self._has_document = True
        return self._document


_Source = Callable[[Reading], Sequence[Any]]
"""Returns all values in a response that an extract can take."""


class Captures:
    """What a step takes out of a response.

    Args:
        step: Its name.
        orders: What to take.

    Attributes:
        needs_body: Whether something stands in the body.
    """

    __slots__ = ("_sources", "_step", "needs_body")

    def __init__(self, step: str, orders: Sequence[ExtractOrder]) -> None:
        self._step = step
        self._sources = [(order, _source(order)) for order in orders]
        self.needs_body = any(order.needs_body for order in orders)

    def __bool__(self) -> bool:
        return bool(self._sources)

    def take(self, user: User, reading: Reading) -> str:
        """Keep the values of a response; returns why that is not possible, as a sentence, else nothing."""
        position = user.position
        for order, source in self._sources:
            reason = ""
            try:
                values = source(reading)
            except (ValueError, MemoryError) as error:
                values, reason = (), f": {error}"
            if values or (order.pick == "all" and not reason):
                user.values[order.name] = value = _picked(order, values, position)
                if too_large := _too_large(value):
                    return f"`{order.name}` in the response to {self._step} {too_large}"
            elif order.default:
                user.values[order.name] = order.default[0]
            elif order.optional:
                user.values.pop(order.name, None)
            else:
                return f"`{order.name}` not found in the response to {self._step}{reason}"
        return ""


def _picked(order: ExtractOrder, values: Sequence[Any], position: int) -> Any:
    match order.pick:
        case "first":
            return values[0]
        case "last":
            return values[-1]
        case "all":
            return list(values[:MAX_VALUES])
        case "random":
            return values[below(order.key, position, len(values))]


def _too_large(value: Any) -> str:
    if isinstance(value, str):
        return f"is longer than {MAX_TEXT // 1024} KiB" if len(value) > MAX_TEXT else ""
    if isinstance(value, (dict, list)) and len(json_of(value)) > MAX_JSON:
        return f"is larger than {MAX_JSON // BYTES_PER_MIB} MiB"
    return ""


def _source(order: ExtractOrder) -> _Source:
    if order.json:
        return _json_source(order)
    search = _search(order.regex, 1 if order.pick == "first" else MAX_VALUES) if order.regex else None
    if not order.needs_body:
        return _field_source(order, search)
    assert search is not None
    from html import unescape  # noqa: PLC0415  (only expressions need it)

    def select(reading: Reading) -> Sequence[str]:
        texts = search(reading.text())
        if order.pick == "last":
            texts = texts[-1:]
        if sum(map(len, texts)) > _MAX_MARKUP:
            raise ValueError(f"the text with HTML entities is longer than {_MAX_MARKUP // 1024} KiB")
        return [unescape(text) for text in texts]

    return select


def _json_source(order: ExtractOrder) -> _Source:
    path, steps = order.json, jsonpath.steps_of(order.json)
    if not order.entries:
        return lambda reading: jsonpath.select(path, steps, reading.document())

    def select(reading: Reading) -> Sequence[Any]:
        values = jsonpath.select(path, steps, reading.document())
        if steps is not None and len(values) == 1 and isinstance(values[0], list):
            return values[0]  # a path to one list means its entries
        return values

    return select


def _field_source(order: ExtractOrder, search: Callable[[bytes], list[str]] | None) -> _Source:
    """Return what takes a header or a cookie, or the part of it that an expression matches."""

    def select(reading: Reading) -> Sequence[str]:
        value = (
            reading.header(order.header) if order.header else reading.jar.value(order.cookie, reading.now_ns)
        )
        if value is None:
            return ()
        value = _unicode(value)
        return (value,) if search is None else search(value.encode())

    return select


def _unicode(value: str) -> str:
    """Return a header's or cookie's value, whose bytes are read as UTF-8 if they can be."""
    try:
        return value if value.isascii() else value.encode("latin-1").decode()
    except UnicodeDecodeError:
        return value


def _search(pattern: str, most: int) -> Callable[[bytes], list[str]]:
    """Return what finds the values of an expression's first group in UTF-8 text."""
    find = regex.group_finder(pattern)

    def search(text: bytes) -> list[str]:
        return [one.decode(errors="replace") for one in find(text, most)]

    return search
