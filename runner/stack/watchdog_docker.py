"""Removes a killed run's objects from a Docker Engine: the last thing the watchdog does.

Standard library only, as is all of the watchdog. The engine may still be creating what the
runner requested before it was killed, so the search continues for a while after nothing is found.
"""

from __future__ import annotations

import http.client
import json
import math
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, Self
from urllib.parse import quote

LABEL: Final = "loadproof.run"

_CALL_TIMEOUT_S: Final = 10.0
_LOOK_INTERVAL_S: Final = 0.2
_QUIET_S: Final = 3.0
_GIVE_UP_S: Final = 60.0
_MAX_BYTES: Final = 16 * 1024 * 1024


def remove_all(base_url: str, run_id: str) -> None:
    """Remove every container, network and volume with the run's label.

    Args:
        base_url: ``unix://`` and the path of the engine's socket.
        run_id: The label's value.

    Returns:
        After nothing was found for three seconds, or after a minute. A false engine that keeps sending ends
        this process by SIGALRM soon after that.
    """
    signal.alarm(math.ceil(_GIVE_UP_S + _CALL_TIMEOUT_S))
    engine = _Engine(base_url.removeprefix("unix://"))
    give_up = time.monotonic() + _GIVE_UP_S
    quiet_since = time.monotonic()
    while time.monotonic() < min(give_up, quiet_since + _QUIET_S):
        try:
            quiet = not engine.remove_labelled(run_id)
        except (ConnectionRefusedError, FileNotFoundError):
            quiet = True  # no engine, nothing to remove
        except (OSError, http.client.HTTPException, LookupError, RecursionError, TypeError, ValueError):
            quiet = False  # it is busy: try again
        if not quiet:
            quiet_since = time.monotonic()
        time.sleep(_LOOK_INTERVAL_S)
    signal.alarm(0)


class _Engine:
    """The calls that are needed, over the engine's socket."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._prefix = ""

    def remove_labelled(self, run_id: str) -> bool:
        """Look for the run's objects once and remove them; return whether there were any."""
        self._prefix = self._prefix or self._negotiate()
        filters = quote(json.dumps({"label": [f"{LABEL}={run_id}"]}))
        containers = self._ids(f"/containers/json?all=1&filters={filters}")
        networks = self._ids(f"/networks?filters={filters}")
        volumes = self._volumes(f"/volumes?filters={filters}")
        self._delete([f"/containers/{container}?force=1&v=1" for container in containers])
        self._delete([f"/networks/{network}" for network in networks])
        self._delete([f"/volumes/{quote(volume, safe='')}" for volume in volumes])
        return bool(containers or networks or volumes)

    def _negotiate(self) -> str:
        """Return the path of the engine's own API version, which ``/_ping`` reports."""
        with self._connect() as connection:
            connection.request("GET", "/_ping")
            response = connection.getresponse()
            response.read(_MAX_BYTES)
            return f"/v{response.headers['Api-Version']}"

    def _ids(self, path: str) -> list[str]:
        return [item["Id"] for item in self._get(path)]

    def _volumes(self, path: str) -> list[str]:
        return [item["Name"] for item in self._get(path)["Volumes"] or ()]

    def _get(self, path: str) -> Any:
        with self._connect() as connection:
            connection.request("GET", self._prefix + path)
            response = connection.getresponse()
            body = response.read(_MAX_BYTES)
        if response.status != http.client.OK:
            raise http.client.HTTPException(f"{path}: {response.status}")
        return json.loads(body)

    def _delete(self, paths: list[str]) -> None:
        """Delete all in parallel; the next look finds those that the engine refused to delete."""
        with ThreadPoolExecutor(max_workers=8) as threads:
            list(threads.map(self._delete_one, paths))

    def _delete_one(self, path: str) -> None:
        with suppress(OSError, http.client.HTTPException), self._connect() as connection:
            connection.request("DELETE", self._prefix + path)
            connection.getresponse().read(_MAX_BYTES)

    def _connect(self) -> _UnixConnection:
        return _UnixConnection(self._path)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket, for one request."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_CALL_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
