"""Decides whether a response is successful: its status, headers and body, as the specification expects.

Used in workers for every response, so it imports nothing heavy, and no response makes it raise: what cannot
be decoded or is no JSON is a body that fails its check.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from runner.core import jsonpath, regex
from runner.core.units import BYTES_PER_MIB, Bytes

MAX_DECODED: Final[Bytes] = 16 * BYTES_PER_MIB
"""How much a compressed body may contain before it counts as a bad one."""

_MAX_CODINGS: Final = 3
_MAX_MEMBERS: Final = 16
_GZIP_OR_ZLIB: Final = 47
_RAW_DEFLATE: Final = -15


class JsonCheck(msgspec.Struct, frozen=True, omit_defaults=True):
    """What holds for the values at a place in a JSON body.

    Attributes:
        path: JSONPath.
        value: What each value equals; empty for any, else one item.
        min: The lowest number that each value may be.
        max: The highest one.
        exists: Whether there is a value at all.
    """

    path: str
    value: tuple[Any, ...] = ()
    min: float | None = None
    max: float | None = None
    exists: bool = True


class HeaderCheck(msgspec.Struct, frozen=True, omit_defaults=True):
    """What holds for a header; several of one name count as one, joined by commas (RFC 9110, 5.3).

    Attributes:
        name: In small letters.
        equals: What its value is.
        contains: Text in its value.
        matches: Regular expression that matches in its value.
        exists: Whether the response has it.
    """

    name: str
    equals: str | None = None
    contains: str = ""
    matches: str = ""
    exists: bool = True


class CheckOrder(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a successful response looks like.

    Attributes:
        statuses: Acceptable status codes.
        contains: Bytes that the body contains.
        excludes: Bytes that it does not contain.
        pattern: Regular expression that matches in it; empty for any body.
        json: What it contains as a JSON document.
        headers: What its headers are.
    """

    statuses: tuple[int, ...] = (200,)
    contains: tuple[bytes, ...] = ()
    excludes: tuple[bytes, ...] = ()
    pattern: str = ""
    json: tuple[JsonCheck, ...] = ()
    headers: tuple[HeaderCheck, ...] = ()


_BodyCheck = Callable[[bytes], bool]
_HeaderCheck = Callable[[Mapping[str, str]], bool]


class Checks:
    """Checks of one request's responses.

    Attributes:
        statuses: Acceptable status codes.
        needs_head: Whether the head must be given to `failure`.
        needs_body: Whether the body must be given to it, and the head as well, which says how it is encoded.
    """

    __slots__ = ("_body", "_headers", "needs_body", "needs_head", "statuses")

    def __init__(self, order: CheckOrder) -> None:
        self.statuses = frozenset(order.statuses)
        self._headers = [_header_check(check) for check in order.headers]
        self._body = _body_checks(order)
        self.needs_body = bool(self._body)
        self.needs_head = bool(self._headers) or self.needs_body

    def failure(self, status: int, head: bytes = b"", body: bytes = b"") -> str:
        """Return the kind of the first check that fails; empty for a successful response.

        Args:
            status: Status code.
            head: The final response's head: status line and headers, as received.
            body: With chunking undone and nothing decoded.
        """
        if status not in self.statuses:
            return "bad_status"
        if not self.needs_head:
            return ""
        fields = header_fields(head)
        if not all(check(fields) for check in self._headers):
            return "bad_header"
        return "" if not self._body or self._body_passes(fields, body) else "bad_body"

    def _body_passes(self, fields: Mapping[str, str], body: bytes) -> bool:
        coding = fields.get("content-encoding", "")
        try:
            if coding:
                body = decoded(body, coding)
            return all(check(body) for check in self._body)
        except (ValueError, RecursionError, MemoryError):
            return False


def header_fields(head: bytes) -> dict[str, str]:
    """Return name, in small letters, to value of the headers in a head; each byte is one letter."""
    fields: dict[str, str] = {}
    name = ""
    for line in head.decode("latin-1").split("\n")[1:]:
        if (
            line[:1] in {" ", "\t"} and name
        ):  # a value that continues, as RFC 9112 (5.2) still allows in responses
            fields[name] = f"{fields[name]} {line.strip()}".strip()
            continue
        raw, colon, value = line.partition(":")
        if not colon:
            continue
        name, value = raw.strip().lower(), value.strip()
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def decoded(body: bytes, coding: str) -> bytes:
    """Return a body without its content codings, gzip and deflate.

    Raises:
        ValueError: It is damaged or cut off, has another coding, or contains more than `MAX_DECODED` bytes.
    """
    codings = [word for part in coding.split(",") if (word := part.strip().lower()) and word != "identity"]
    if len(codings) > _MAX_CODINGS:
        raise ValueError("too many codings")
    for one in reversed(codings):
        if one not in {"gzip", "x-gzip", "deflate"}:
            raise ValueError(f"cannot decode {one}")
        body = _inflated(body)
    return body


def _inflated(body: bytes) -> bytes:
    try:
        return _inflate(body, _GZIP_OR_ZLIB)
    except zlib.error:
        pass
    try:  # many servers send deflate without its zlib header
        return _inflate(body, _RAW_DEFLATE)
    except zlib.error as error:
        raise ValueError(str(error)) from None


def _inflate(body: bytes, window_bits: int) -> bytes:
    """Return the content of all members of a compressed body."""
    content = b""
    for _ in range(_MAX_MEMBERS):
        inflator = zlib.decompressobj(window_bits)
        content += inflator.decompress(body, MAX_DECODED + 1 - len(content))
        body = inflator.unused_data
        if len(content) > MAX_DECODED or not inflator.eof:
            break
        if not body:
            return content
    raise ValueError("it is cut off, or too large")


def _body_checks(order: CheckOrder) -> list[_BodyCheck]:
    checks: list[_BodyCheck] = [_contains(needle, wanted=True) for needle in order.contains]
    checks += [_contains(needle, wanted=False) for needle in order.excludes]
    if order.pattern:
        checks.append(regex.compiled(order.pattern))
    if order.json:
        checks.append(_json(order.json))
    return checks


def _contains(needle: bytes, *, wanted: bool) -> _BodyCheck:
    return lambda body: (needle in body) is wanted


def _json(orders: tuple[JsonCheck, ...]) -> _BodyCheck:
    checks = [(order, jsonpath.steps_of(order.path)) for order in orders]
    decode = msgspec.json.Decoder().decode

    def passes(body: bytes) -> bool:
        document = decode(body)
        return all(_holds(order, jsonpath.select(order.path, steps, document)) for order, steps in checks)

    return passes


def _holds(order: JsonCheck, values: list[Any]) -> bool:
    """Return whether all selected values are as expected, and whether there are any."""
    if bool(values) is not order.exists:
        return False
    if order.value and not all(equal_json(value, order.value[0]) for value in values):
        return False
    if order.min is None and order.max is None:
        return True
    low = float("-inf") if order.min is None else order.min
    high = float("inf") if order.max is None else order.max
    return all(_is_number(value) and low <= value <= high for value in values)


def equal_json(value: Any, expected: Any) -> bool:
    """Return whether two JSON values are equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, list) and isinstance(expected, list | tuple):
        return len(value) == len(expected) and all(map(equal_json, value, expected))
    return isinstance(value, bool) is isinstance(expected, bool) and bool(value == expected)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _header_check(check: HeaderCheck) -> _HeaderCheck:
    matches = regex.compiled(check.matches) if check.matches else None

    def passes(fields: Mapping[str, str]) -> bool:
        value = fields.get(check.name)
        if value is None or not check.exists:
            return (value is not None) is check.exists
        return (
            (check.equals is None or value == check.equals)
            and check.contains in value
            and (matches is None or matches(value.encode()))
        )

    return passes
