"""Names for requests, values and experiments, made from what a file calls things."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from runner.core.template import NAME
from runner.experiment.suggestions import slug

MAX_NAME: Final = 48
_ID: Final = re.compile(
    r"[0-9]+"
    r"|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
    r"|(?=[0-9a-fA-F]*[0-9])[0-9a-fA-F]{8,}"
    r"|(?=[A-Za-z_-]*[0-9])(?=[0-9a-z_-]*[A-Z])[A-Za-z0-9_-]{10,}={0,2}"
)
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def is_id(segment: str) -> bool:
    """Return whether a part of a path looks like the identifier of one thing: a number, a UUID, a hash."""
    return len(segment) <= 100 and _ID.fullmatch(segment) is not None


def request_name(method: str, path: str) -> str:
    """Return a name for a request: ``home``, ``items``, ``post-login``."""
    segments = [unquote(part) for part in path[:1000].split("/") if part]
    words = [slug(part) for part in segments if not is_id(part)]
    last = "-".join([word for word in words if word][-2:])
    if segments and is_id(segments[-1]) and last:
        last += "-id"
    verb = "" if method == "GET" else f"{method.lower()}-"
    return f"{verb}{last or 'home'}"[:MAX_NAME].strip("-")


def variable_name(text: str) -> str:
    """Return a name for a value: ``csrf_token``."""
    name = re.sub(r"[^a-z0-9]+", "_", _CAMEL.sub("_", text[:200]).lower()).strip("_")[:40]
    name = f"_{name}" if name[:1].isdigit() else name
    return name if NAME.fullmatch(name) else "value"


def singular(noun: str) -> str:
    """Return the name of one of several things: ``order`` of ``orders``, ``category`` of ``categories``."""
    if noun.endswith("ies"):
        return f"{noun[:-3]}y"
    for ending in ("sses", "xes", "ches", "shes"):
        if noun.endswith(ending):
            return noun[:-2]
    return noun[:-1] if noun.endswith("s") and not noun.endswith(("ss", "us", "is")) else noun


def noun_of(path: str) -> str:
    """Return what the thing at a path is called: ``order`` of ``/api/orders/7``; empty of the root."""
    words = [unquote(part) for part in path[:1000].split("/") if part and not is_id(part)]
    return singular(slug(words[-1])) if words else ""


class Names:
    """Gives out each name once.

    Args:
        separator: Stands between a name that is taken and its number.
    """

    def __init__(self, separator: str = "-") -> None:
        self._separator = separator
        self._taken: set[str] = set()

    def unique(self, name: str) -> str:
        """Return the name, or the name with the lowest number that makes it unique."""
        number, candidate = 1, name
        while candidate in self._taken:
            number += 1
            ending = f"{self._separator}{number}"
            candidate = name[: MAX_NAME - len(ending)].rstrip(self._separator) + ending
        self._taken.add(candidate)
        return candidate
