"""What MySQL and MariaDB tell about themselves: connections, running statements, and waits for row locks.

https://dev.mysql.com/doc/refman/8.4/en/server-status-variables.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import pymysql

from runner.observe.counters.level import Level, Levels, gauge
from runner.observe.inspect.view import CONNECT_S, STATEMENT_S, CannotInspect

_PORT: Final = 3306
_MS_PER_S: Final = 1000
_OWN: Final = 1
"""Connections of this program, of which one is running the query."""
_STATUS: Final = """
SHOW GLOBAL STATUS WHERE Variable_name IN (
    'Threads_connected', 'Threads_running', 'Innodb_row_lock_current_waits', 'Innodb_row_lock_time',
    'Slow_queries', 'Questions', 'Connection_errors_max_connections')
"""
_MOST: Final = "SHOW GLOBAL VARIABLES WHERE Variable_name = 'max_connections'"
_DENIED: Final = frozenset({1044, 1045, 1698})


@dataclass(slots=True)
class MySqlView:
    """A connection that reads status variables.

    Attributes:
        max_connections: How many connections ordinary users may have.
    """

    connection: pymysql.connections.Connection[Any]
    max_connections: float

    def read(self) -> Levels:
        """See `View`."""
        status = _variables(self.connection, _STATUS)
        levels = {
            "mysql.connections": gauge(
                status.get("Threads_connected", _OWN) - _OWN, "connections", self.max_connections
            ),
            "mysql.running": gauge(max(0, status.get("Threads_running", _OWN) - _OWN), "statements"),
            "mysql.lock_waits": gauge(status.get("Innodb_row_lock_current_waits", 0), "connections"),
            "mysql.lock_wait_s": Level(status.get("Innodb_row_lock_time", 0) / _MS_PER_S, "s"),
            "mysql.slow_queries": Level(status.get("Slow_queries", 0), "statements"),
            "mysql.statements": Level(status.get("Questions", 0), "statements"),
        }
        refused = status.get("Connection_errors_max_connections")
        return levels if refused is None else levels | {"mysql.refused": Level(refused, "connections")}

    def close(self) -> None:
        """See `View`."""
        try:
            self.connection.close()
        except pymysql.Error:
            return


def connect(url: str) -> MySqlView:
    """Return a view of the server at a URL.

    Raises:
        CannotInspect: It cannot be reached or refuses the credentials.
    """
    try:
        parts = urlsplit(url)
        connection = pymysql.connect(
            host=parts.hostname or "127.0.0.1",
            port=parts.port or _PORT,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            connect_timeout=round(CONNECT_S),
            read_timeout=round(STATEMENT_S),
            write_timeout=round(STATEMENT_S),
            autocommit=True,
        )
    except (pymysql.Error, ValueError, RuntimeError) as error:
        raise CannotInspect(_reason(error)) from None
    try:
        most = _variables(connection, _MOST).get("max_connections", 0)
    except CannotInspect:
        connection.close()
        raise
    return MySqlView(connection, most)


def _variables(connection: pymysql.connections.Connection[Any], query: str) -> Mapping[str, float]:
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return {str(name): float(value) for name, value in cursor.fetchmany(100)}
    except (pymysql.Error, OSError, TypeError, ValueError) as error:
        raise CannotInspect(_reason(error)) from None


def _reason(error: Exception) -> str:
    """Return why the server tells nothing; its messages may contain the user and host."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else None
    if code in _DENIED:
        return "it refused the user or the password"
    if isinstance(error, pymysql.OperationalError):
        return f"it could not be reached, or did not answer in time (error {code})"
    return f"it could not be read ({type(error).__name__})"
