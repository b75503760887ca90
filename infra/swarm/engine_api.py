"""Questions to an engine by its Unix socket: a start of `docker` for each would take 50 times as much CPU."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

_WITHIN_S = 60.0


class _Connection(HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("engine", timeout=_WITHIN_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def get(path: Path, target: str) -> Any:
    """Return what the engine at a socket responds, decoded from JSON.

    Raises:
        OSError: It does not respond.
        RuntimeError: It refused; the message is its own.
    """
    with closing(_Connection(path)) as connection:
        connection.request("GET", target)
        response = connection.getresponse()
        body = response.read()
    if response.status != 200:
        raise RuntimeError(f"{target}: {response.status}: {body.decode(errors='replace').strip()}")
    return json.loads(body)


def responds(path: Path) -> bool:
    """Return whether an engine responds at a socket."""
    try:
        get(path, "/version")
    except (OSError, RuntimeError, HTTPException):
        return False
    return True
