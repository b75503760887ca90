"""The interface of what reads a service's own statistics, and how the word of a URL leads to it.

Each kind needs a driver, which an extra of this package installs, and which is imported only when used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Final, Protocol, cast
from urllib.parse import urlsplit

from runner.core.units import Seconds
from runner.installation import how_to_add
from runner.observe.counters.level import Levels

CONNECT_S: Final[Seconds] = 2.0
STATEMENT_S: Final[Seconds] = 2.0


class CannotInspect(Exception):  # noqa: N818  (a service that tells nothing is no error of this program)
    """A service's statistics cannot be read; the message is a clause without text from outside."""


class View(Protocol):
    """A connection to a service that reads its statistics; used by one thread at a time."""

    def read(self) -> Levels:
        """Return the statistics now, without the share of this connection.

        Raises:
            CannotInspect: They cannot be read.
        """

    def close(self) -> None:
        """Close the connection; never raises."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of service whose statistics can be read.

    Attributes:
        family: Its name in messages, and the extra that installs its driver.
        module: Has `connect(url)`, which returns a `View`.
    """

    family: str
    module: str


_POSTGRESQL: Final = Kind("postgresql", "runner.observe.inspect.postgresql")
_MYSQL: Final = Kind("mysql", "runner.observe.inspect.mysql")
_REDIS: Final = Kind("redis", "runner.observe.inspect.redis")
KINDS: Final = {
    "postgresql": _POSTGRESQL,
    "postgres": _POSTGRESQL,
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "redis": _REDIS,
    "rediss": _REDIS,
}
"""Scheme of a URL to the kind of service."""


def family_of(url: str) -> str:
    """Return the kind of service that a URL is for; ``inspect`` for an unknown one."""
    kind = KINDS.get(_scheme(url))
    return kind.family if kind else "inspect"


def open_view(url: str) -> View:
    """Connect to a service, within `CONNECT_S`; blocks.

    Raises:
        CannotInspect: It cannot be reached, refuses the credentials, or its driver is not installed.
    """
    kind = KINDS.get(_scheme(url))
    if kind is None:
        raise CannotInspect(f"the URL has to begin with one of {', '.join(KINDS)}, and ://")
    try:
        connect = cast("Callable[[str], View]", import_module(kind.module).connect)
    except ImportError:
        message = f"its driver is not installed: {how_to_add(kind.family)}"
        raise CannotInspect(message) from None
    return connect(url)


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""
