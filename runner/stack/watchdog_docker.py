"""Removes a killed run's objects from a Docker Engine or a swarm: the last thing the watchdog does.

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

from runner.stack.engine_address import EngineAddress, parse_address, tls_context

LABEL: Final = "loadproof.run"
SWARM: Final = "swarm+"
"""Precedes the URL of a manager: the objects of its swarm are removed too."""

_CALL_TIMEOUT_S: Final = 10.0
_LOOK_INTERVAL_S: Final = 0.2
_QUIET_S: Final = 3.0
_GIVE_UP_S: Final = 60.0
_MAX_BYTES: Final = 16 * 1024 * 1024


def remove_all(base_url: str, run_id: str) -> None:
    """Remove every container, network and volume with the run's label, and the objects of a swarm.

    Args:
        base_url: Where the engine listens; after `SWARM` where a manager does.
        run_id: The label's value.

    Returns:
        After nothing was found for three seconds, or after a minute. A false engine that keeps sending ends
        this process by SIGALRM soon after that.
    """
    signal.alarm(math.ceil(_GIVE_UP_S + _CALL_TIMEOUT_S))
    address = parse_address(base_url.removeprefix(SWARM))
    engine = _Engine(address, of_swarm=base_url.startswith(SWARM))
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
    """The calls that are needed, one connection each."""

    def __init__(self, address: EngineAddress, *, of_swarm: bool) -> None:
        self._address = address
        self._of_swarm = of_swarm
        self._prefix = ""

    def remove_labelled(self, run_id: str) -> bool:
        """Look for the run's objects once and remove them; return whether there were any."""
        self._prefix = self._prefix or self._negotiate()
        filters = quote(json.dumps({"label": [f"{LABEL}={run_id}"]}))
        placed = self._remove_placed(filters) if self._of_swarm else False
        containers = self._ids(f"/containers/json?all=1&filters={filters}")
        networks = self._ids(f"/networks?filters={filters}")
        volumes = self._volumes(f"/volumes?filters={filters}")
        self._delete([f"/containers/{container}?force=1&v=1" for container in containers])
        self._delete([f"/networks/{network}" for network in networks])
        self._delete([f"/volumes/{quote(volume, safe='')}" for volume in volumes])
        return bool(placed or containers or networks or volumes)

    def _remove_placed(self, filters: str) -> bool:
        """Remove what the swarm holds; return whether there was anything, tasks that are ending included."""
        services, configs, secrets = (
            [f"/{kind}/{item['ID']}" for item in self._get(f"/{kind}?filters={filters}")]
            for kind in ("services", "configs", "secrets")
        )
        self._delete(services)
        self._delete([*configs, *secrets])
        return bool(services or configs or secrets or self._get(f"/tasks?filters={filters}"))

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

    def _connect(self) -> _Connection:
        return _Connection(self._address)


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket, TCP or TLS, for one request."""

    def __init__(self, address: EngineAddress) -> None:
        super().__init__(address.host or "localhost", address.port or None, timeout=_CALL_TIMEOUT_S)
        self._address = address

    def connect(self) -> None:
        address = self._address
        if address.path:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(address.path)
            return
        super().connect()
        if address.tls:
            self.sock = tls_context(address.tls).wrap_socket(self.sock, server_hostname=address.host)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
