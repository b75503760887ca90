"""The parts of a Postman collection (v2.0 and v2.1) that an import reads.

Many of its keys are either a text or an object, depending on the version and on who wrote it; they are read
as they are and interpreted where they are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from runner.importers.errors import unreadable


class Event(msgspec.Struct, frozen=True):
    """A script that runs before a request (``prerequest``) or after its response (``test``)."""

    listen: str = ""
    script: Any = None

    @property
    def code(self) -> str:
        """The program; empty if it is elsewhere."""
        lines = self.script.get("exec") if isinstance(self.script, Mapping) else self.script
        if isinstance(lines, list):
            return "\n".join(line for line in lines if isinstance(line, str))
        return lines if isinstance(lines, str) else ""


class Item(msgspec.Struct, frozen=True):
    """A request, or a folder of items.

    Attributes:
        item: The items of a folder; None for a request.
        request: A URL as a text, or an object.
        response: Saved examples.
    """

    name: str = ""
    item: list[Item] | None = None
    request: Any = None
    response: Any = None
    event: list[Event] | None = None
    auth: Any = None
    variable: Any = None
    protocol: Any = msgspec.field(name="protocolProfileBehavior", default=None)


class Info(msgspec.Struct, frozen=True):
    """Who and what a collection is."""

    name: Any = ""
    schema: Any = ""


class Collection(msgspec.Struct, frozen=True):
    """A collection of requests, in folders."""

    info: Info
    item: list[Item]
    variable: Any = None
    auth: Any = None
    event: list[Event] | None = None


def read_collection(content: bytes) -> Collection:
    """Return a collection.

    Raises:
        UsageError: It is none.
    """
    try:
        return msgspec.json.decode(content, type=Collection)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise unreadable(error, "Postman collection") from None


def text_of(value: Any) -> str:
    """Return a value as the text that Postman sends for it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else ""


def entries_of(value: Any) -> dict[str, str]:
    """Return the enabled entries of a list of ``{key, value}`` objects, or of an object, in order."""
    if isinstance(value, Mapping):
        return {name: text_of(item) for name, item in value.items()}
    entries = {}
    for one in value if isinstance(value, list) else ():
        if (
            isinstance(one, Mapping)
            and not one.get("disabled")
            and (name := text_of(one.get("key", one.get("id"))))
        ):
            entries[name] = text_of(one.get("value"))
    return entries
