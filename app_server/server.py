"""One process, one event loop, one listening socket; leaves quickly when told to."""

from __future__ import annotations

import resource
import socket
import sys
from contextlib import suppress
from typing import Final

import httptools  # noqa: F401  (uvicorn imports these two late; a missing one is to be noticed early)
import uvicorn
import uvloop  # noqa: F401

from app_server.app import create_app
from app_server.settings import Settings

_LEAVE_WITHIN_S: Final = 1
"""How long open requests may take to finish after SIGTERM; uvicorn's own steps come on top."""


def listen(settings: Settings) -> socket.socket:
    """The socket that connections will come from; a host's name stands for its first address.

    Raises:
        OSError: Nothing can listen on that host and port.
    """
    found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    return socket.create_server(address[:2], family=family, backlog=settings.backlog)


def serve(listener: socket.socket, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, which uvicorn raises again once everything is closed."""
    _raise_file_limit()
    config = uvicorn.Config(
        create_app(settings),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        backlog=settings.backlog,
        timeout_graceful_shutdown=_LEAVE_WITHIN_S,
    )
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"app-server: listening on http://{shown}:{port}", file=sys.stderr, flush=True)  # noqa: T201
    uvicorn.Server(config).run(sockets=[listener])


def _raise_file_limit() -> None:
    """A shell's usual 1,024 files are fewer connections than a load test opens."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
