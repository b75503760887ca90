"""Empties a Docker Engine of a killed run's objects; the watchdog's last act.

Standard library only, as is all of the watchdog. The engine may still be creating what the
runner asked for when it was killed, so looking goes on for a while after nothing is found.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, Self
from urllib.parse import quote

LABEL: Final = "loadproof.run"

_CALL_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.2
_QUIET_S: Final = 3.0
_GIVE_UP_S: Final = 60.0


def remove_all(base_url: str, run_id: str) -> None:
    """Remove every container and network with the run's label.

    Args:
        base_url: ``unix://`` and the path of the engine's socket.
        run_id: The label's value.

    Returns:
        After nothing was found for three seconds, or after a minute in any case.
    """
    engine = _Engine(base_url.removeprefix("unix://"))
    give_up = time.monotonic() + _GIVE_UP_S
    quiet_since = time.monotonic()
    while time.monotonic() < min(give_up, quiet_since + _QUIET_S):
        try:
            found = engine.remove_found(run_id)
        except (ConnectionRefusedError, FileNotFoundError):
            found = False  # no engine, nothing to remove
        except (OSError, http.client.HTTPException, ValueError):
            found = True  # it is busy: ask again
        if found:
            quiet_since = time.monotonic()
        time.sleep(_LOOK_EVERY_S)


class _Engine:
    """The four calls that are needed, over the engine's socket."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._prefix = ""

    def remove_found(self, run_id: str) -> bool:
        """Look once and remove what is there; whether anything was."""
        self._prefix = self._prefix or self._negotiate()
        filters = quote(json.dumps({"label": [f"{LABEL}={run_id}"]}))
        containers = self._list(f"/containers/json?all=1&filters={filters}")
        networks = self._list(f"/networks?filters={filters}")
        self._delete([f"/containers/{item['Id']}?force=1&v=1" for item in containers])
        self._delete([f"/networks/{item['Id']}" for item in networks])
        return bool(containers or networks)

    def _negotiate(self) -> str:
        """The engine's own version of its API; ``/_ping`` answers without one."""
        with self._connect() as connection:
            connection.request("GET", "/_ping")
            answer = connection.getresponse()
            answer.read()
            return f"/v{answer.headers['Api-Version']}"

    def _list(self, path: str) -> list[dict[str, Any]]:
        with self._connect() as connection:
            connection.request("GET", self._prefix + path)
            answer = connection.getresponse()
            body = answer.read()
        if answer.status != http.client.OK:
            raise http.client.HTTPException(f"{path}: {answer.status}")
        found: list[dict[str, Any]] = json.loads(body)
        return found

    def _delete(self, paths: list[str]) -> None:
        """Delete all at once; whatever is refused will be found again."""
        with ThreadPoolExecutor(max_workers=8) as threads:
            list(threads.map(self._delete_one, paths))

    def _delete_one(self, path: str) -> None:
        with suppress(OSError, http.client.HTTPException), self._connect() as connection:
            connection.request("DELETE", self._prefix + path)
            connection.getresponse().read()

    def _connect(self) -> _UnixConnection:
        return _UnixConnection(self._path)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket, for one request."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_CALL_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
