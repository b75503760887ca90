"""The settings from command line and environment, validated."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Settings:
    """How the service runs.

    Attributes:
        host: Address to listen on.
        port: TCP port; 0 takes a free one.
        work_us: Microseconds of CPU time burned for every session created.
        alloc_kb: KiB of cyclic garbage made for every session created.
        sessions: How many sessions are kept; beyond that the least recently used one is dropped.
        backlog: Requested length of the accept queue.
        token: A token of the shop that is always valid; empty for none.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    work_us: int = 0
    alloc_kb: int = 0
    sessions: int = 10_000
    backlog: int = 2048
    token: str = field(default="demo-token", repr=False)


def read_settings(arguments: Sequence[str] | None = None) -> Settings:
    """Return settings from flags, environment and defaults, in this order; exits with status 2 on errors."""
    parser = argparse.ArgumentParser(
        prog="app-server",
        description="A small HTTP service to test load tools against: GET /session, /healthz, /metrics, "
        "a small shop (products, search, login, orders; the token in SHOP_TOKEN, demo-token by "
        "default, is always valid), and what users do in several steps: log in (/oidc), buy (/store), edit "
        "(/notes) and upload (/uploads), with the service's own counts in /counts.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    default = Settings()
    add("--host", default=default.host, help="address to listen on")
    add(
        "--port", type=_Between(0, 65_535), default=default.port, help="port to listen on; 0 takes a free one"
    )
    add(
        "--work-us",
        type=_MICROSECONDS,
        default=_from_environment(parser, "APP_WORK_US", _MICROSECONDS),
        help="CPU time burned for each session, in microseconds (environment: APP_WORK_US)",
    )
    add(
        "--alloc-kb",
        type=_KIBIBYTES,
        default=_from_environment(parser, "APP_ALLOC_KB", _KIBIBYTES),
        help="garbage made for each session, in KiB (environment: APP_ALLOC_KB)",
    )
    add("--sessions", type=_Between(1, 10_000_000), default=default.sessions, help="sessions kept")
    add("--backlog", type=_Between(1, 65_535), default=default.backlog, help="length of the accept queue")
    return Settings(**vars(parser.parse_args(arguments)), token=os.environ.get("SHOP_TOKEN", default.token))


def _from_environment(parser: argparse.ArgumentParser, name: str, number: _Between) -> int:
    try:
        return number(os.environ.get(name) or "0")
    except argparse.ArgumentTypeError as error:
        parser.error(f"{name} {error}")


class _Between:
    """Parses an integer within bounds."""

    def __init__(self, minimum: int, maximum: int) -> None:
        self._min, self._max = minimum, maximum

    def __call__(self, text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = None
        if number is None or not self._min <= number <= self._max:
            raise argparse.ArgumentTypeError(
                f"should be a whole number from {self._min} to {self._max}, not {text!r}"
            )
        return number


_MICROSECONDS: Final = _Between(0, 10_000_000)
_KIBIBYTES: Final = _Between(0, 1_000_000)
