"""Parses what a strict HTTP/1.1 parser refuses and curl, browsers and k6 accept, in bounded memory.

Folded header lines, lines that end with LF alone, spaces before a colon and behind a chunk size, equal
repeated lengths, and a transfer coding beside a length, which it overrides. A body in another coding than
chunked ends with the connection (RFC 9112, 6.3).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

MAX_KEPT: Final = 16 * 1024 * 1024
"""How much of a body is kept for its checks; a larger one fails them."""
MAX_HEAD_BYTES: Final = 300 * 1024
"""Of a head with the interim responses before it, as in curl, and of all that stands around chunks."""

_BEGIN: Final = b"HTTP/1."

HEAD_END: Final = re.compile(rb"\n\r?\n")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([0-9]) +([1-9][0-9]{2})(?:[ \t][^\r\n]*)?\r?\n")
_BEFORE_FIELDS: Final = re.compile(rb"\A(?:[ \t][^\n]*\n)+")
_FOLD: Final = re.compile(rb"\r?\n[ \t]+")
_FIELDS: Final = re.compile(rb"(?:[^\x00-\x20:\x7f][^\x00-\x08\x0a-\x1f:\x7f]*+:[^\x00\r\n]*+\r?\n)*\r?\n")
_FRAMING: Final = re.compile(
    rb"^(connection|content-length|transfer-encoding)[ \t]*:([^\r\n]*)", re.IGNORECASE | re.MULTILINE
)
_CHUNK_SIZE: Final = re.compile(rb"0*([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_NEWLINE: Final = re.compile(rb"\n")
_BLANK: Final = (b"\r\n", b"\n")
_MAX_LENGTH_DIGITS: Final = 18

_HEAD, _BODY, _CHUNK, _CHUNK_END, _TRAILER = range(5)
_ENDLESS: Final = -1
_NO_STATUS_LINE: Final = "no status line of HTTP/1"


class ProtocolFault(Exception):  # noqa: N818  (a fact about the peer, not an error of ours)
    """The peer did not speak HTTP/1.1; the text is one of few, and holds nothing that the peer sent."""


class TolerantParser:
    """One response.

    Attributes:
        complete: Whether all of it has arrived.
        status: Its status code, 0 until known.
        keep_alive: Whether the connection may carry another request.
        head: Its head, if it is kept.
        body: Its body with chunking undone, if it is kept.
        length: Length of its body, None where only parsing tells.
        unasked: Whether more bytes follow it, which no request asked for.
    """

    __slots__ = (
        "_between",
        "_chunked",
        "_head_bytes",
        "_head_only",
        "_keep",
        "_keep_body",
        "_line",
        "_remaining",
        "_state",
        "body",
        "complete",
        "head",
        "keep_alive",
        "length",
        "status",
        "unasked",
    )

    def __init__(self, *, head_only: bool, keep: bool, keep_body: bool = True) -> None:
        self._head_only, self._keep, self._keep_body = head_only, keep, keep and keep_body
        self._state, self._chunked, self._remaining = _HEAD, False, 0
        self._line = bytearray()
        self._between = 0
        self.head, self.body = b"", bytearray()
        self.complete = self.keep_alive = self.unasked = False
        self.status = self._head_bytes = 0
        self.length: int | None = None

    @property
    def until_close(self) -> bool:
        """Whether the body ends with the connection."""
        return self._state == _BODY and self._remaining == _ENDLESS

    def feed(self, data: memoryview) -> None:
        """Parse received bytes.

        Raises:
            ProtocolFault: They are no HTTP/1.1, or more than `MAX_HEAD_BYTES` would have to be kept.
        """
        at, end = 0, len(data)
        while at < end and not self.complete:
            if self._state == _BODY:
                at = self._feed_body(data, at)
            elif self._state == _HEAD:
                at = self._feed_head(data, at)
            else:
                at = self._feed_line(data, at)
        if at < end and bytes(data[at:]).strip(b"\r\n"):
            self.keep_alive, self.unasked = False, True

    def _feed_head(self, data: memoryview, at: int) -> int:
        """Parse a head, or wait for its end; returns where parsing goes on."""
        line = self._line
        before = len(line)
        line += data[at : at + MAX_HEAD_BYTES + 1 - self._head_bytes]
        skipped = 0 if line.startswith(_BEGIN) else len(line) - len(line.lstrip(b"\r\n"))
        ends = HEAD_END.search(line, max(skipped, before - 2))
        used = ends.end() if ends else len(line)
        self._head_bytes += used - before
        if self._head_bytes > MAX_HEAD_BYTES:
            raise ProtocolFault("a head of more than 300 KiB")
        if ends:
            head = bytes(line[skipped:used])
            line.clear()
            self._read_head(head)
        elif not _BEGIN.startswith(line[skipped : skipped + len(_BEGIN)]):
            raise ProtocolFault(_NO_STATUS_LINE)
        elif line.find(b"\n", max(skipped, before)) >= 0:
            _status_line(bytes(line[skipped:]))
        return at + used - before

    def _read_head(self, head: bytes) -> None:
        status_line = _status_line(head)
        status = int(status_line[2])
        connection, lengths, codings = _framing(_fields(head[status_line.end() :]))
        if 100 <= status < 200 and status != 101:
            return
        self.status = status
        self.head = head if self._keep else b""
        persistent = status_line[1] != b"0" or b"keep-alive" in connection
        self.keep_alive = persistent and b"close" not in connection
        if status == 101:
            self.complete, self.keep_alive = True, False
        elif self._head_only or status in {204, 304}:
            self.complete, self.length = True, 0
        elif codings:
            self._chunked = codings[-1] == b"chunked"
            self._begin_body(_CHUNK if self._chunked else _BODY, _ENDLESS)
        else:
            self.length = _length(lengths)
            self._begin_body(_BODY, _ENDLESS if self.length is None else self.length)

    def _begin_body(self, state: int, length: int) -> None:
        self._state, self._remaining = state, length
        self.complete = length == 0
        if self.until_close:
            self.keep_alive = False

    def _feed_body(self, data: memoryview, at: int) -> int:
        """Take a piece of the body, or of one chunk; returns where parsing goes on."""
        left = len(data) - at
        if self._remaining == _ENDLESS:
            self._take(data[at:])
            return at + left
        count = min(left, self._remaining)
        self._take(data[at : at + count])
        self._remaining -= count
        if not self._remaining:
            self._state = _CHUNK_END
            self.complete = not self._chunked
        return at + count

    def _feed_line(self, data: memoryview, at: int) -> int:
        """Parse a line around chunks, or wait for its end; returns where parsing goes on."""
        newline = _NEWLINE.search(data, at)
        end = newline.end() if newline else len(data)
        self._between += end - at
        if self._between > MAX_HEAD_BYTES:
            raise ProtocolFault("more than 300 KiB between two chunks or behind the last one")
        self._line += data[at:end]
        if newline:
            line = bytes(self._line)
            self._line.clear()
            self._read_line(line)
        return end

    def _read_line(self, line: bytes) -> None:
        if self._state == _TRAILER:
            self.complete = line in _BLANK
        elif self._state == _CHUNK_END:
            if line not in _BLANK:
                raise ProtocolFault("a chunk that is longer than its size")
            self._state = _CHUNK
        else:
            size = _CHUNK_SIZE.fullmatch(line)
            if size is None:
                raise ProtocolFault("a chunk without a valid size")
            self._remaining = int(size[1], 16)
            self._state = _BODY if self._remaining else _TRAILER
            self._between = 0

    def _take(self, data: memoryview) -> None:
        """Keep a piece of the body."""
        if self._keep_body:
            keep_body(self.body, data)


def keep_body(body: bytearray, piece: bytes | memoryview) -> None:
    """Add a piece to a body that is kept, up to one byte more than `MAX_KEPT`."""
    body += piece[: MAX_KEPT + 1 - len(body)]


def _status_line(head: bytes) -> re.Match[bytes]:
    """Return version and status code of a head that is complete at least up to its first line."""
    found = _STATUS_LINE.match(head)
    if found is None:
        raise ProtocolFault(_NO_STATUS_LINE)
    return found


def _fields(lines: bytes) -> bytes:
    """Return the header lines of a head, each in one line.

    Raises:
        ProtocolFault: One of them is no header line.
    """
    if lines[:1] in {b" ", b"\t"}:
        lines = _BEFORE_FIELDS.sub(b"", lines)  # RFC 9112, 2.2: to be ignored
    if b"\n " in lines or b"\n\t" in lines:
        lines = _FOLD.sub(b" ", lines)  # RFC 9112, 5.2
    if not _FIELDS.fullmatch(lines):
        raise ProtocolFault(_fault(lines))
    return lines


def _fault(lines: bytes) -> str:
    """Return why some header lines are none."""
    if b"\0" in lines:
        return "a NUL in the head"
    for line in re.split(rb"\r?\n", lines):
        if b"\r" in line:
            return "a carriage return inside a header line"
        if line and b":" not in line:
            return "a header line without a colon"
    return "a header line without a valid name"


def _framing(lines: bytes) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """Return the items of Connection, Content-Length and Transfer-Encoding, in small letters."""
    items: dict[bytes, list[bytes]] = {b"connection": [], b"content-length": [], b"transfer-encoding": []}
    for name, value in _FRAMING.findall(lines):
        items[name.lower()] += [item.strip(b" \t") for item in value.lower().split(b",")]
    codings = [coding.partition(b";")[0].rstrip() for coding in items[b"transfer-encoding"]]
    effective = [coding for coding in codings if coding not in {b"", b"identity"}]
    return items[b"connection"], items[b"content-length"], effective


def _length(values: Collection[bytes]) -> int | None:
    """Return the length that all values of Content-Length name, None without any.

    Raises:
        ProtocolFault: They are no numbers, or differ.
    """
    if not all(value.isdigit() and len(value) <= _MAX_LENGTH_DIGITS for value in values):
        raise ProtocolFault("a Content-Length that is no number")
    lengths = {int(value) for value in values}
    if len(lengths) > 1:
        raise ProtocolFault("different values of Content-Length")
    return lengths.pop() if lengths else None
