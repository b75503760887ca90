"""Reads HTTP/1.1 answers: exactly by httptools, and fast where an answer looks like an earlier one.

Servers repeat themselves: within one second nearly all heads are equal byte for byte. A
head that httptools has parsed is remembered with what it means, so most answers cost one
search and one look-up.
"""

from __future__ import annotations

from typing import Any, Final

import httptools

_MAX_HEAD_BYTES: Final = 64 * 1024
_REMEMBERED: Final = 256


class ProtocolFault(Exception):  # noqa: N818  (a fact about the peer, not an error of ours)
    """The peer did not speak HTTP/1.1."""


class Heads:
    """Heads seen before: their bytes to (status, length of the body, whether the connection lasts)."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[int, int, bool]] = {}

    def get(self, head: bytes) -> tuple[int, int, bool] | None:
        """What a head means, None when it is new."""
        return self._known.get(head)

    def remember(self, head: bytes, meaning: tuple[int, int, bool]) -> None:
        """Keep a head that stands for a body of known length."""
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[head] = meaning


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
        "_head_bytes",
        "_head_only",
        "_in_head",
        "_needle",
        "_parser",
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
        self._head_bytes, self._in_head, self._until_close = 0, True, False
        self._tail = b""
        self.complete = self.keep_alive = False
        self.found = not needle
        self.status = self.first_ns = self.last_ns = 0
        self.length: int | None = None

    def feed(self, data: memoryview) -> None:
        """Take in what was received.

        Raises:
            ProtocolFault: This is not HTTP/1.1, or its head is larger than 64 KiB.
        """
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.complete, self.keep_alive = True, False
        except httptools.HttpParserError as error:
            if not self.complete:
                raise ProtocolFault(str(error)) from None
            self.keep_alive = False
        if self._in_head and self._head_bytes > _MAX_HEAD_BYTES:
            raise ProtocolFault("the head is larger than 64 KiB")

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
        if not self.complete and name.lower() == b"content-length" and value.strip().isdigit():
            self.length = int(value)

    def on_headers_complete(self) -> None:
        """httptools: the head has ended."""
        if self.complete:
            return
        self.status = self._parser.get_status_code()
        self._in_head = False
        if self.status < 200:
            return
        self.keep_alive = self._parser.should_keep_alive()
        self._until_close = self.length is None and not self.keep_alive
        if self._head_only:
            self.complete = True

    def on_body(self, data: bytes) -> None:
        """httptools: a piece of the body, with chunking undone."""
        if self.found or self.complete:
            return
        seen = self._tail + data
        self.found = self._needle in seen
        self._tail = seen[-(len(self._needle) - 1) :] if len(self._needle) > 1 else b""

    def on_message_complete(self) -> None:
        """httptools: the answer has ended, unless it was an interim one (1xx)."""
        if 100 <= self.status < 200:
            self._in_head, self._head_bytes, self.length = True, 0, None
        else:
            self.complete = True
