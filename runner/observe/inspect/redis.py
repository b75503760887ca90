"""What Redis tells about itself: clients, commands, CPU, and keys that it evicted.

https://redis.io/docs/latest/commands/info/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

import redis

from runner.observe.counters.level import Level, Levels, gauge
from runner.observe.inspect.view import CONNECT_S, STATEMENT_S, CannotInspect

_OWN: Final = 1
"""Connections of this program."""
_COUNTERS: Final = (
    ("redis.commands", "total_commands_processed", "commands"),
    ("redis.evicted_keys", "evicted_keys", "keys"),
    ("redis.rejected_connections", "rejected_connections", "connections"),
)


@dataclass(slots=True)
class RedisView:
    """A connection that reads INFO and the length of the log of slow commands."""

    client: redis.Redis

    def read(self) -> Levels:
        """See `View`."""
        try:
            info = cast("Mapping[str, object]", self.client.info())
            slow = self.client.slowlog_len()
        except (redis.RedisError, OSError, ValueError) as error:
            raise CannotInspect(_reason(error)) from None
        levels = {
            "redis.clients": gauge(
                max(0.0, _number(info, "connected_clients") - _OWN), "connections", _limit(info, "maxclients")
            ),
            "redis.blocked_clients": gauge(_number(info, "blocked_clients"), "connections"),
            "redis.memory_bytes": gauge(_number(info, "used_memory"), "bytes", _limit(info, "maxmemory")),
            "redis.slow_commands": gauge(slow, "commands"),
            "redis.cpu_s": Level(_number(info, "used_cpu_sys") + _number(info, "used_cpu_user"), "s"),
        }
        return levels | {name: Level(_number(info, key), unit) for name, key, unit in _COUNTERS}

    def close(self) -> None:
        """See `View`."""
        try:
            self.client.close()
        except (redis.RedisError, OSError):
            return


def connect(url: str) -> RedisView:
    """Return a view of the server at a URL.

    Raises:
        CannotInspect: It cannot be reached or refuses the credentials.
    """
    try:
        client = redis.Redis.from_url(
            url,
            socket_connect_timeout=CONNECT_S,
            socket_timeout=STATEMENT_S,
            retry=None,
            single_connection_client=True,
            client_name="loadproof",
        )
    except (redis.RedisError, OSError, ValueError) as error:
        raise CannotInspect(_reason(error)) from None
    return RedisView(client)


def _number(info: Mapping[str, object], key: str) -> float:
    value = info.get(key)
    return float(value) if isinstance(value, int | float) else 0.0


def _limit(info: Mapping[str, object], key: str) -> float | None:
    return _number(info, key) or None


def _reason(error: Exception) -> str:
    """Return why the server tells nothing; its messages may contain the URL."""
    if isinstance(error, redis.AuthenticationError | redis.exceptions.NoPermissionError):
        return "it refused the user, the password or the command"
    if isinstance(error, redis.TimeoutError | TimeoutError):
        return "it did not answer in time"
    if isinstance(error, redis.ConnectionError | OSError):
        return "it could not be reached"
    return f"it could not be read ({type(error).__name__})"
