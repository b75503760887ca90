"""The beginning of a response that did not succeed.

A sample is taken once per request of a mix, failure and status, so parsing the kept bytes again costs nothing
that matters.
`runner.execution.sample_masking` makes it printable.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

import httptools

from runner.core.load_facts import MAX_SAMPLE, ResponseSample

OPENING_BYTES: Final = 2 * MAX_SAMPLE
"""How much of a response is kept until it is known whether it succeeded: a head and 2 KiB of its body."""
MAX_SAMPLES: Final = 256
"""How many samples a worker takes."""
MAX_STATUSES: Final = 32
"""How many status codes a worker counts one by one."""
OTHER_STATUSES: Final = 0
"""What further codes are counted as."""

_GZIP_OR_ZLIB, _RAW_DEFLATE = 32 + zlib.MAX_WBITS, -zlib.MAX_WBITS
SHOWN_HEADERS: Final = frozenset(
    {
        b"allow",
        b"content-encoding",
        b"content-type",
        b"location",
        b"proxy-authenticate",
        b"retry-after",
        b"server",
        b"upgrade",
        b"www-authenticate",
    }
)


def response_sample(failure: str, status: int, opening: bytes) -> ResponseSample:
    """Return a sample, its texts as they were received.

    Args:
        failure: Failure kind.
        status: Status code; 0 if the response is no HTTP.
        opening: The response as it was received, possibly cut off.
    """
    reader = _Reader()
    reader.read(opening)
    if failure == "protocol" or not (reader.headers_complete or reader.fields):
        return ResponseSample(failure, status, body=_text(opening))
    return ResponseSample(
        failure,
        status,
        tuple((name.decode(), _text(value)) for name, value in sorted(reader.fields.items())),
        _text(_decoded(reader.body, reader.fields.get(b"content-encoding", b""))),
    )


class _Reader:
    """Collects the shown headers and the beginning of the body, with chunking undone."""

    def __init__(self) -> None:
        self._parser: Any = httptools.HttpResponseParser(self)
        self.headers_complete = False
        self.fields: dict[bytes, bytes] = {}
        self.body = b""

    def read(self, data: bytes) -> None:
        """Parse as much as can be parsed."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            pass
        finally:
            self._parser = None  # it refers back to this object, and the worker collects no garbage

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: one header."""
        if name.lower() in SHOWN_HEADERS and not self.headers_complete:
            self.fields[name.lower()] = value

    def on_headers_complete(self) -> None:
        """httptools: the head has ended; that of an interim response (1xx) does not count."""
        status = self._parser.get_status_code()
        if status >= 200 or status == 101:
            self.headers_complete = True
        else:
            self.fields.clear()

    def on_body(self, data: bytes) -> None:
        """httptools: a piece of the body."""
        self.body += data


def _decoded(body: bytes, coding: bytes) -> bytes:
    """Return the beginning of a body, possibly cut off, without its coding; empty if that is not known."""
    match coding.strip().lower():
        case b"" | b"identity":
            return body
        case b"gzip" | b"x-gzip" | b"deflate":
            # many servers send deflate without its zlib header
            return _inflated(body, _GZIP_OR_ZLIB) or _inflated(body, _RAW_DEFLATE)
        case _:
            return b""


def _inflated(body: bytes, window_bits: int) -> bytes:
    try:
        return zlib.decompressobj(window_bits).decompress(body, MAX_SAMPLE)
    except zlib.error:
        return b""


def _text(data: bytes) -> str:
    return data[:MAX_SAMPLE].decode(errors="replace")
