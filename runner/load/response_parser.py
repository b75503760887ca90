"""Reads HTTP/1.1 answers: exactly by httptools, and fast where an answer looks like an earlier one.

Servers repeat themselves: within one second nearly all heads are equal byte for byte. A
head that httptools has parsed is remembered with what it means, so most answers cost one
search and one look-up.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import httptools

_MAX_QUIET_BYTES: Final = 64 * 1024
_REMEMBERED: Final = 256
_END_OF_HEAD: Final = b"\r\n\r\n"


class ProtocolFault(Exception):  # noqa: N818  (a fact about the peer, not an error of ours)
    """The peer did not speak HTTP/1.1."""


class Heads:
    """Heads seen before, and what the answers that begin with them are like.

    Attributes:
        head: The head seen last; the attributes below belong to it.
        count: How many bytes its whole answer has.
        status: Its status code.
        keep: Whether the connection may carry another request after it.
        plain: It is a good answer on a connection that goes on, so that nothing more has to be asked of it.
        large: Some answer was large; kept here for the caller.

    Args:
        head_only: Answers have no body, whatever they say.
        plain: Status codes of good answers, where connections go on and nothing is looked for in them.
    """

    __slots__ = ("_head_only", "_known", "_plain", "count", "head", "keep", "large", "plain", "status")

    def __init__(self, *, head_only: bool, plain: Collection[int] = ()) -> None:
        self._head_only, self._plain = head_only, plain
        self.plain = False
        self._known: dict[bytes, tuple[int, int, bool]] = {}
        self.head, self.count, self.status = b"", -1, 0
        self.keep = self.large = False

    def find(self, data: bytearray, count: int) -> bool:
        """Whether `count` bytes are a whole answer with a head seen before; makes that the last one."""
        if count == self.count and data.startswith(self.head):
            return True
        head = bytes(data[: data.find(_END_OF_HEAD, 0, count) + 4])
        known = self._known.get(head)
        if known is None or len(head) + known[0] != count:
            return False
        self.head, self.count = head, count
        _, self.status, self.keep = known
        self.plain = self.keep and self.status in self._plain
        return True

    def remember(self, answer: Answer, data: bytearray, count: int) -> None:
        """Keep the head of an answer that came in one piece of `count` bytes."""
        head = bytes(data[: data.find(_END_OF_HEAD, 0, count) + 4])
        length = 0 if self._head_only else answer.length
        if length is None or len(head) + length != count:
            return
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[head] = (length, answer.status, answer.keep_alive)


class Answer:
    """One answer that is not (or not yet) like an earlier one.

    Attributes:
        complete: The whole answer has arrived.
        status: Its status code, 0 until known.
        keep_alive: Whether the connection may carry another request.
        found: Whether the body contained what it must.
        length: What Content-Length says, None without it.
        first_ns: When its first byte arrived, kept here for the caller; likewise `last_ns`.
    """

    __slots__ = (
        "_framed",
        "_head_only",
        "_needle",
        "_parser",
        "_quiet_bytes",
        "_tail",
        "_until_close",
        "complete",
        "first_ns",
        "found",
        "keep_alive",
        "last_ns",
        "length",
        "status",
    )

    def __init__(self, *, head_only: bool, needle: bytes) -> None:
        self._parser: Any = httptools.HttpResponseParser(self)
        self._head_only, self._needle = head_only, needle
        self._quiet_bytes, self._framed, self._until_close = 0, False, False
        self._tail = b""
        self.complete = self.keep_alive = False
        self.found = not needle
        self.status = self.first_ns = self.last_ns = 0
        self.length: int | None = None

    def feed(self, data: memoryview) -> None:
        """Take in what was received.

        Raises:
            ProtocolFault: This is not HTTP/1.1, or 64 KiB came without a byte of a body (an
                endless head, interim answer or trailer, which would have to be kept in memory).
        """
        self._quiet_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.complete, self.keep_alive = True, False
        except httptools.HttpParserError as error:
            if not self.complete:
                raise ProtocolFault(str(error)) from None
            self.keep_alive = False
        if self._quiet_bytes > _MAX_QUIET_BYTES and not self.complete:
            raise ProtocolFault("64 KiB without a body")

    def close(self) -> bool:
        """The peer has closed; True when that is how this answer ends."""
        if self._until_close and not self.complete:
            self.complete = True
        return self.complete

    def release(self) -> None:
        """Let go of the parser, which holds this object in a cycle (the worker collects no garbage)."""
        self._parser = None

    def on_message_begin(self) -> None:
        """httptools: an answer begins; a second one was never asked for, so the connection is not reused."""
        if self.complete:
            self.keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: one header."""
        if self.complete:
            return
        name = name.lower()
        if name == b"content-length" and value.strip().isdigit():
            self.length = int(value)
        elif name == b"transfer-encoding":
            self._framed = True

    def on_headers_complete(self) -> None:
        """httptools: the head has ended."""
        if self.complete:
            return
        self.status = self._parser.get_status_code()
        if self.status < 200:
            return
        self.keep_alive = self._parser.should_keep_alive()
        self._until_close = self.length is None and not self._framed and not self.keep_alive
        if self._head_only:
            self.complete = True

    def on_body(self, data: bytes) -> None:
        """httptools: a piece of the body, with chunking undone."""
        self._quiet_bytes = 0
        if self.found or self.complete:
            return
        seen = self._tail + data
        self.found = self._needle in seen
        self._tail = seen[-(len(self._needle) - 1) :] if len(self._needle) > 1 else b""

    def on_message_complete(self) -> None:
        """httptools: the answer has ended, unless it was an interim one (1xx)."""
        if 100 <= self.status < 200:
            self.length, self._framed = None, False
        else:
            self.complete = True
