"""The socket that the web server listens on; light, because the runner opens it before it has a server."""

from __future__ import annotations

import errno
import socket
from typing import Final

from runner.core.errors import EnvironmentLacks, UsageError

_BACKLOG: Final = 128


def listen(host: str, port: int, option: str = "--port") -> socket.socket:
    """Return a socket that listens.

    Args:
        host: The address to listen on, or a name of it.
        port: 0 for any free one.
        option: What the user chooses the port by, for the hint.

    Raises:
        UsageError: There is no such address on this machine.
        EnvironmentLacks: The port is not free, or not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UsageError(f"cannot listen on {host}: {why}", hint="give an address of this machine") from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise _cannot_listen(host, port, option, error) from None
    return listening


def _cannot_listen(host: str, port: int, option: str, error: OSError) -> UsageError | EnvironmentLacks:
    if error.errno == errno.EADDRINUSE:
        return EnvironmentLacks(
            f"port {port} of {host} is in use",
            hint=f"it may be another `runner serve`; choose another port with {option} (0: any free one)",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return UsageError(f"{host} is no address of this machine", hint="use --host 127.0.0.1")
    return EnvironmentLacks(
        f"cannot listen on port {port} of {host}: {error.strerror}", hint=f"choose another port with {option}"
    )


def address_of(host: str, listening: socket.socket) -> str:
    """Return the address of a server on a socket, as a browser takes it."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listening.getsockname()[1]}/"
