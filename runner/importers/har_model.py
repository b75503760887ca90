"""The parts of an HTTP Archive (HAR 1.2) that an import reads; browsers add their own keys beside them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from runner.importers.errors import unreadable


class NameValue(msgspec.Struct, frozen=True):
    """A header."""

    name: str = ""
    value: str | None = None


class Param(msgspec.Struct, frozen=True, rename="camel"):
    """A field of a form; with a file name, a file."""

    name: str = ""
    value: str | None = None
    file_name: str | None = None
    content_type: str | None = None


class PostData(msgspec.Struct, frozen=True, rename="camel"):
    """A body that was sent."""

    mime_type: str | None = None
    text: str | None = None
    params: list[Param] | None = None
    encoding: str | None = None


class HarRequest(msgspec.Struct, frozen=True, rename="camel"):
    """What was sent."""

    method: str
    url: str
    headers: list[NameValue] = []
    post_data: PostData | None = None
    body_size: float | None = None


class Content(msgspec.Struct, frozen=True, rename="camel"):
    """The body of a response."""

    mime_type: str | None = None
    text: str | None = None
    encoding: str | None = None


class HarResponse(msgspec.Struct, frozen=True, rename="camel"):
    """What was received; status 0 if nothing was."""

    status: int = 0
    headers: list[NameValue] = []
    content: Content = Content()
    redirect_url: str | None = msgspec.field(name="redirectURL", default=None)


class Entry(msgspec.Struct, frozen=True, rename="camel"):
    """One request and its response.

    Attributes:
        time: From the start to the last byte, in milliseconds.
        resource_type: Chrome's name for what it is: ``document``, ``xhr``, ``image``.
        from_cache: Where Chrome took it from instead of sending it.
    """

    request: HarRequest
    response: HarResponse = HarResponse()
    started_date_time: str = ""
    time: float | None = None
    resource_type: str | None = msgspec.field(name="_resourceType", default=None)
    from_cache: str | None = msgspec.field(name="_fromCache", default=None)

    @property
    def started_ms(self) -> float | None:
        """When it was sent, in milliseconds since 1970; None if that is not known."""
        try:
            moment = datetime.fromisoformat(self.started_date_time)
            return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000
        except (ValueError, OverflowError):
            return None


class Log(msgspec.Struct, frozen=True):
    """All entries, as a rule in the order in which they were sent."""

    entries: list[Entry]


def header(headers: Iterable[NameValue], name: str) -> str:
    """Return the value of a header, by its name in lower case; empty if it is absent."""
    return next((one.value or "" for one in headers if one.name.lower() == name), "")


def read_entries(log: bytes | msgspec.Raw) -> list[Entry]:
    """Return the entries of the key ``log`` of an archive, in the order in which they were sent.

    Raises:
        UsageError: It is no archive.
    """
    try:
        entries = msgspec.json.decode(log, type=Log).entries
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise unreadable(error, "HAR") from None
    times = [entry.started_ms for entry in entries]
    if None in times:
        return entries
    return [entry for _, entry in sorted(zip(times, entries, strict=True), key=lambda pair: pair[0] or 0.0)]
