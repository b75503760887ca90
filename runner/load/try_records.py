"""What the user of `runner try` did: lines of JSON from the process that sends its requests."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from runner.core.units import Bytes, Nanoseconds

MAX_RECORDED: Final[Bytes] = 64 * 1024
"""How much is recorded of a request, of the head of a response, and of its body."""


class Exchanged(Struct, frozen=True, tag="exchanged", kw_only=True, omit_defaults=True):
    """A request and how it ended.

    Attributes:
        part: Its index in the order's requests.
        step: Name of the step.
        url: Where it was sent.
        request: Its bytes, or their beginning.
        request_bytes: How many there are.
        is_redirected: Whether it follows a redirect of the same step.
        status: Of the response; 0 without one.
        head: Status line and headers of the response, or their beginning.
        body: The beginning of its body, with chunking and compression undone.
        body_bytes: How many bytes of the body are known.
        failure: Failure kind; empty if it passed.
        reason: Why a value cannot be extracted or a redirect not be followed, as a sentence.
        values: Name to value of what was extracted, or could be until one failed.
        cookie_problems: Sentences about the cookies of the response that are not kept or not sent.
        duration_ns: From the beginning of sending to the end of the response, without the time to connect; -1
            without a response.
    """

    part: int
    step: str
    url: str
    request: bytes
    request_bytes: Bytes
    is_redirected: bool = False
    status: int = 0
    head: bytes = b""
    body: bytes = b""
    body_bytes: Bytes = 0
    failure: str = ""
    reason: str = ""
    values: dict[str, Any] = {}
    cookie_problems: tuple[str, ...] = ()
    duration_ns: Nanoseconds = -1


class Entered(Struct, frozen=True, tag="entered"):
    """A step other than a request begins.

    Attributes:
        text: What it is, such as ``pause 212 ms``.
    """

    text: str


class Finished(Struct, frozen=True, tag="finished", omit_defaults=True):
    """The user is done.

    Attributes:
        failure: Failure kind that ended the scenario; empty if it was completed.
    """

    failure: str = ""


TryRecord: TypeAlias = Exchanged | Entered | Finished

_DECODER: Final[msgspec.json.Decoder[TryRecord]] = msgspec.json.Decoder(TryRecord)


def encode_record(record: TryRecord) -> bytes:
    """Return a record as one line."""
    return msgspec.json.encode(record) + b"\n"


def decode_record(line: bytes) -> TryRecord:
    """Return the record in a line.

    Raises:
        ValueError: It is none.
    """
    return _DECODER.decode(line)
