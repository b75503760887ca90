"""One process, one event loop, one listening socket; shuts down quickly."""

from __future__ import annotations

import resource
import socket
import sys
from contextlib import suppress
from typing import Final

import httptools  # noqa: F401  (uvicorn imports these two late; this detects a missing one early)
import uvicorn
import uvloop  # noqa: F401

from app_server.app import create_app
from app_server.settings import Settings

_SHUTDOWN_S: Final = 1
"""How long open requests may take to finish after SIGTERM; uvicorn's own steps add to it."""


def listen(settings: Settings) -> socket.socket:
    """Return a listening socket; a host name stands for its first address.

    Raises:
        OSError: Listening on that host and port is impossible.
    """
    addresses = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, _, _, _, address = addresses[0]
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
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )
    host, port = listener.getsockname()[:2]
    name = f"[{host}]" if ":" in host else host
    print(f"app-server: listening on http://{name}:{port}", file=sys.stderr, flush=True)  # noqa: T201
    uvicorn.Server(config).run(sockets=[listener])


def _raise_file_limit() -> None:
    """Raise the limit of open files: a shell's usual 1,024 are too few for a load test's connections."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
