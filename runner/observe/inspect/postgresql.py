"""What PostgreSQL tells about itself: connections and what they wait for, transactions, deadlocks.

https://www.postgresql.org/docs/current/monitoring-stats.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import psycopg

from runner.observe.counters.level import Level, Levels, gauge
from runner.observe.inspect.view import CONNECT_S, STATEMENT_S, CannotInspect

_MS_PER_S: Final = 1000
_OPTIONS: Final = f"-c statement_timeout={STATEMENT_S * _MS_PER_S:.0f} -c default_transaction_read_only=on"
_ACTIVITY: Final = """
SELECT count(*),
    count(*) FILTER (WHERE state = 'active'),
    count(*) FILTER (WHERE state LIKE 'idle in transaction%'),
    count(*) FILTER (WHERE state = 'active' AND wait_event_type = 'Lock'),
    count(*) FILTER (WHERE state = 'active' AND wait_event_type = 'LWLock'),
    count(*) FILTER (WHERE state = 'active' AND wait_event_type = 'IO')
FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
_GAUGES: Final = (
    ("pg.connections", "connections"),
    ("pg.active", "connections"),
    ("pg.idle_in_transaction", "connections"),
    ("pg.lock_waits", "connections"),
    ("pg.lwlock_waits", "connections"),
    ("pg.io_waits", "connections"),
)
_DATABASE: Final = """
SELECT xact_commit, xact_rollback, deadlocks, blk_read_time / 1000, blk_write_time / 1000
FROM pg_stat_database WHERE datname = current_database()
"""
_COUNTERS: Final = (
    ("pg.commits", "transactions"),
    ("pg.rollbacks", "transactions"),
    ("pg.deadlocks", "count"),
    ("pg.read_s", "s"),
    ("pg.write_s", "s"),
)
_SETTINGS: Final = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
    current_setting('track_io_timing') = 'on'
"""


@dataclass(slots=True)
class PostgreSqlView:
    """A connection that reads the statistics views.

    Attributes:
        connection: Commits each statement by itself: within a transaction the views do not change.
        max_connections: How many connections ordinary users may have.
        times_io: Whether the server measures how long it reads and writes; else those times stay 0.
    """

    connection: psycopg.Connection[tuple[float, ...]]
    max_connections: float
    times_io: bool

    def read(self) -> Levels:
        """See `View`."""
        levels: dict[str, Level] = {}
        for (name, unit), value in zip(_GAUGES, _row(self.connection, _ACTIVITY), strict=True):
            levels[name] = gauge(value, unit, self.max_connections if name == "pg.connections" else None)
        for (name, unit), value in zip(_COUNTERS, _row(self.connection, _DATABASE), strict=True):
            if unit != "s" or self.times_io:
                levels[name] = Level(value, unit)
        return levels

    def close(self) -> None:
        """See `View`."""
        self.connection.close()


def connect(url: str) -> PostgreSqlView:
    """Return a view of the server at a URL.

    Raises:
        CannotInspect: It cannot be reached or refuses the credentials.
    """
    try:
        connection = psycopg.connect(
            url,
            autocommit=True,
            connect_timeout=round(CONNECT_S),
            options=_OPTIONS,
            application_name="loadproof",
        )
    except (psycopg.Error, ValueError) as error:
        raise CannotInspect(_reason(error)) from None
    try:
        most, times_io = _row(connection, _SETTINGS)
    except CannotInspect:
        connection.close()
        raise
    return PostgreSqlView(connection, most, bool(times_io))


def _row(connection: psycopg.Connection[tuple[float, ...]], query: str) -> tuple[float, ...]:
    try:
        row = connection.execute(query.encode()).fetchone()
        return tuple(float(value or 0) for value in row or ())
    except (psycopg.Error, TypeError, ValueError) as error:
        raise CannotInspect(_reason(error)) from None


def _reason(error: Exception) -> str:
    """Return why the server tells nothing; its messages may contain the URL, so its code stands for them."""
    state = getattr(error, "sqlstate", None)
    if isinstance(error, psycopg.errors.ConnectionTimeout):
        return f"it did not accept a connection within {CONNECT_S:g} s"
    if isinstance(error, psycopg.errors.QueryCanceled):
        return f"it did not answer within {STATEMENT_S:g} s"
    if isinstance(error, psycopg.OperationalError) and state is None:
        return "it refused the connection, the user or the password"
    return f"it refused the query ({state or type(error).__name__})"
