"""Starts the web application, and ends it within a second."""

from __future__ import annotations

import errno
import ipaddress
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, cast

import trio
from hypercorn.typing import Framework
from hypercorn.utils import wrap_app

from runner.core.errors import EnvironmentLacks, UsageError
from runner.serve.application import application
from runner.serve.connections import serve_connections
from runner.serve.site import Site
from runner.store.run_index import RunIndex

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8642
_BACKLOG: Final = 128
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve(
    folder: Path,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    hosts: Sequence[str] = (),
    on_start: Callable[[str], object] = print,
) -> signal.Signals:
    """Serve the runs below a folder until a signal comes, and return that.

    Args:
        folder: Below which the runs are.
        host: The address to listen on, or a name of it.
        port: 0 for any free one.
        hosts: More names that the server is reached by.
        on_start: Receives its address when it listens.

    Raises:
        UsageError: There is no such folder or address.
        EnvironmentLacks: The port is not free.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", hint="give a folder with runs, such as reports")
    listening = _listen(host, port)
    return trio.run(_serve, Site(folder, RunIndex(folder)), listening, host, tuple(hosts), on_start)


async def _serve(
    site: Site,
    listening: socket.socket,
    host: str,
    hosts: tuple[str, ...],
    on_start: Callable[[str], object],
) -> signal.Signals:
    address = listening.getsockname()[0]
    is_any = ipaddress.ip_address(address.partition("%")[0]).is_unspecified
    app = application(site, [host, address, *hosts], any_address=is_any)
    received = signal.SIGTERM
    with trio.open_signal_receiver(*_SIGNALS) as signals:
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
        on_start(_url(host, listening))

        async def until_signal() -> None:
            nonlocal received
            async for number in signals:
                received = signal.Signals(number)
                break
            site.closing.set()
            site.announce()

        async with trio.open_nursery() as background:
            background.start_soon(site.watch)
            background.start_soon(site.read_runs)
            await serve_connections(wrap_app(cast(Framework, app), 0, "asgi"), [listener], until_signal)
            background.cancel_scope.cancel()
    for workshop in (site.pages, site.readers):
        workshop.close()
    site.index.save()
    return received


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

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
        raise _cannot_listen(host, port, error) from None
    return listening


def _cannot_listen(host: str, port: int, error: OSError) -> UsageError | EnvironmentLacks:
    if error.errno == errno.EADDRINUSE:
        return EnvironmentLacks(
            f"port {port} of {host} is in use",
            hint="it may be another `runner serve`; choose another port with --port (0 takes any free one)",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return UsageError(f"{host} is no address of this machine", hint="use --host 127.0.0.1")
    return EnvironmentLacks(
        f"cannot listen on port {port} of {host}: {error.strerror}", hint="choose another --port"
    )


def _url(host: str, listening: socket.socket) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listening.getsockname()[1]}/"
