"""Parses HTTP/1.1 responses: with httptools, or faster where a response looks like an earlier one.

Servers repeat themselves: within one second nearly all heads are equal byte for byte. `Heads` remembers what
was parsed of a head, so that most responses cost one search and one look-up. What httptools refuses, and
browsers, curl and k6 accept, is left to `runner.load.tolerant_parser`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import httptools

from runner.load.tolerant_parser import HEAD_END, MAX_HEAD_BYTES, ProtocolFault, TolerantParser, keep_body

_REMEMBERED: Final = 256
_MAX_REMEMBERED_BYTES: Final = 8 * 1024
_END_OF_HEAD: Final = b"\r\n\r\n"
_NOT_IN_CHUNKS: Final = "a body that is not in chunks as its head says"


class Heads:
    """Heads seen before, and the properties of responses that begin with them.

    Attributes:
        head: The head seen last; the attributes below belong to it.
        count: Length of its complete response in bytes.
        status: Its status code.
        keep: Whether the connection may carry another request after it.
        plain: Whether it is successful and its connection stays open, so that no further check is needed.
        plain_statuses: Status codes of such responses.

    Args:
        head_only: Whether responses have no body, whatever their head says.
        plain: Status codes of successful responses, if connections stay open and bodies are not checked.
    """

    __slots__ = (
        "_head_only",
        "_known",
        "count",
        "head",
        "keep",
        "plain",
        "plain_statuses",
        "status",
    )

    def __init__(self, *, head_only: bool, plain: Collection[int] = ()) -> None:
        self._head_only, self.plain_statuses = head_only, plain
        self.plain = False
        self._known: dict[bytes, tuple[int, int, bool]] = {}
        self.head, self.count, self.status = b"", -1, 0
        self.keep = False

    def find(self, data: bytearray, count: int) -> bool:
        """Return whether `count` bytes are a complete response with a known head, which becomes `head`."""
        if count == self.count and data.startswith(self.head):
            return True
        head = bytes(data[: data.find(_END_OF_HEAD, 0, count) + 4])
        known = self._known.get(head)
        if known is None or len(head) + known[0] != count:
            return False
        self.head, self.count = head, count
        _, self.status, self.keep = known
        self.plain = self.keep and self.status in self.plain_statuses
        return True

    def show(self, head: bytes, count: int, status: int) -> None:
        """Make a head that someone else has parsed the one seen last; it needs further checks."""
        self.head, self.count, self.status = head, count, status
        self.keep, self.plain = True, False

    def remember(self, response: Response, data: bytearray, count: int) -> None:
        """Keep the head of a response that arrived in one piece of `count` bytes."""
        size = data.find(_END_OF_HEAD, 0, count) + len(_END_OF_HEAD)
        length = 0 if self._head_only else response.length
        if length is None or size + length != count or size > _MAX_REMEMBERED_BYTES:
            return
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[bytes(data[:size])] = (length, response.status, response.keep_alive)


class Response:
    """One response that is not (or not yet) like an earlier one.

    Attributes:
        complete: Whether all of it has arrived.
        status: Its status code, 0 until known.
        keep_alive: Whether the connection may carry another request.
        head: Its status line and headers, if they are kept.
        body: Its body with chunking undone, if it is kept; one byte more than `MAX_KEPT` of a larger one.
        length: The value of Content-Length, None without it.
        until_close: Whether the body ends with the connection.
        unasked: Whether more bytes follow it, which no request asked for.
        first_ns: When its first byte arrived, kept here for the caller; likewise `last_ns` and the bytes
            that it begins with, `opening`.
    """

    __slots__ = (
        "_bodiless_bytes",
        "_fields",
        "_framed",
        "_head_only",
        "_keep",
        "_keep_body",
        "_kept",
        "_parser",
        "_tolerant",
        "_unusual",
        "body",
        "complete",
        "first_ns",
        "head",
        "keep_alive",
        "last_ns",
        "length",
        "opening",
        "status",
        "unasked",
        "until_close",
    )

    def __init__(self, *, head_only: bool, keep: bool = False, keep_body: bool = True) -> None:
        self._parser: Any = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)
        self._tolerant: TolerantParser | None = None
        self._head_only, self._keep, self._keep_body = head_only, keep, keep and keep_body
        self._bodiless_bytes, self._framed, self._unusual = 0, False, False
        self._kept = bytearray()
        self._fields = self.head = self.opening = b""
        self.body = bytearray()
        self.complete = self.keep_alive = self.until_close = self.unasked = False
        self.status = self.first_ns = self.last_ns = 0
        self.length: int | None = None

    def feed(self, data: memoryview) -> None:
        """Parse received bytes.

        Raises:
            ProtocolFault: They are no HTTP/1.1, or more than `MAX_HEAD_BYTES` would have to be kept.
        """
        if self._tolerant is not None:
            self._feed_tolerant(self._tolerant, data)
        elif self.status:
            self._feed_body(data)
        else:
            self._feed_head(data)

    def close(self) -> bool:
        """Handle the peer's close; returns whether it ends this response properly."""
        if self.until_close and not self.complete:
            self.complete = True
        return self.complete

    def release(self) -> None:
        """Drop the parser, which refers back to this object (the worker collects no garbage)."""
        self._parser = None

    def _feed_head(self, data: memoryview) -> None:
        """Parse while the head has not ended; all bytes so far are known, so that parsing can start again.

        It starts again for a strange head only, never for a body: whether a body is accepted must not depend
        on how much of it arrives together with the head.
        """
        too_long = self._may_be_too_long(data)
        understood = not too_long and self._understands(data)
        if self.status and not self.complete and not understood and not self._unusual:
            raise ProtocolFault(_NOT_IN_CHUNKS)
        if (not understood or self._unusual) and not self.complete:
            tolerant = self._tolerant = TolerantParser(
                head_only=self._head_only, keep=self._keep, keep_body=self._keep_body
            )
            self.release()
            self._feed_tolerant(tolerant, memoryview(self._kept + data))
            self._kept = bytearray()
        elif not self.status:
            self._kept += data
        else:
            self._kept = bytearray()

    def _may_be_too_long(self, data: memoryview) -> bool:
        """Return whether it needs a closer look if the head, with interim responses, exceeds its limit."""
        if len(self._kept) + len(data) <= MAX_HEAD_BYTES:
            return False
        interim = data[9:10].tobytes() == b"1"
        return bool(self._kept) or interim or not HEAD_END.search(data, 0, MAX_HEAD_BYTES)

    def _feed_body(self, data: memoryview) -> None:
        self._bodiless_bytes += len(data)
        if not self._understands(data) and not self.complete:
            raise ProtocolFault(_NOT_IN_CHUNKS)
        if self._bodiless_bytes > MAX_HEAD_BYTES and not self.complete:
            raise ProtocolFault("more than 300 KiB between two chunks or behind the last one")

    def _understands(self, data: memoryview) -> bool:
        """Return whether httptools accepts the bytes."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.complete, self.keep_alive = True, False
        except httptools.HttpParserError:
            self.keep_alive, self.unasked = False, self.complete
            return False
        return True

    def _feed_tolerant(self, parser: TolerantParser, data: memoryview) -> None:
        parser.feed(data)
        self.complete, self.status, self.keep_alive = parser.complete, parser.status, parser.keep_alive
        self.length, self.until_close = parser.length, parser.until_close
        self.head, self.body, self.unasked = parser.head, parser.body, parser.unasked

    def on_message_begin(self) -> None:
        """httptools: a response begins; a second one is unsolicited, so the connection is not reused."""
        if self.complete:
            self.keep_alive, self.unasked = False, True

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: one header."""
        if self.complete:
            return
        if self._keep and not self.status:
            self._fields += name + b": " + value + b"\r\n"
        name = name.lower()
        if name == b"content-length" and value.strip().isdigit():
            self.length = int(value)
        elif name == b"transfer-encoding":
            self._unusual = self._framed or value.lower() != b"chunked"
            self._framed = True

    def on_headers_complete(self) -> None:
        """httptools: the head has ended."""
        if self.complete:
            return
        status = self._parser.get_status_code()
        if status < 200 and status != 101:
            self.length, self._framed, self._unusual = None, False, self._unusual or status < 100
            self._fields = b""
            return
        self._parser.set_dangerous_leniencies(
            lenient_spaces_after_chunk_size=True, lenient_optional_cr_before_lf=True, lenient_headers=True
        )  # from here on of trailers, whose lines may be folded
        self.status = status
        self.head = b"HTTP/1.1 %d\r\n%b\r\n" % (status, self._fields) if self._keep else b""
        self.keep_alive = self._parser.should_keep_alive()
        self.until_close = self.length is None and not self._framed and not self.keep_alive
        if self._head_only:
            self.complete = True

    def on_body(self, data: bytes) -> None:
        """httptools: a piece of the body, with chunking undone."""
        self._bodiless_bytes = 0
        if self._keep_body and not self.complete:
            keep_body(self.body, data)

    def on_message_complete(self) -> None:
        """httptools: the response has ended, or an interim one (1xx) has."""
        if self.status:
            self.complete = True
