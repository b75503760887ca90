"""Starts the web application, and ends it within a second."""

from __future__ import annotations

import gc
import ipaddress
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, cast

import trio
from hypercorn.typing import Framework
from hypercorn.utils import wrap_app

from runner.serve.application import application
from runner.serve.connections import serve_connections
from runner.serve.listening import address_of, listen
from runner.serve.site import Site
from runner.store.run_index import RunIndex
from runner.store.run_index_scan import check_folder

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8642
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve(
    folder: Path,
    *,
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    hosts: Sequence[str] = (),
    on_start: Callable[[str, bool], object],
) -> signal.Signals:
    """Serve the runs below a folder until a signal comes, and return that.

    Args:
        folder: Below which the runs are.
        host: The address to listen on, or a name of it.
        port: 0 for any free one.
        hosts: More names that the server is reached by.
        on_start: Receives its address when it listens, and whether only this machine reaches that.

    Raises:
        UsageError: There is no such folder or address.
        EnvironmentLacks: The port is not free.
    """
    check_folder(folder)
    listening = listen(host, port)
    site = Site(folder, RunIndex(folder))
    site.ask()
    gc.freeze()  # what is loaded now stays; the command line starts without collecting
    gc.enable()
    return trio.run(partial(serve_on, listening, site, host=host, hosts=hosts, on_start=on_start))


async def serve_on(
    listening: socket.socket,
    site: Site,
    *,
    host: str,
    hosts: Sequence[str] = (),
    on_start: Callable[[str, bool], object] = lambda *_: None,
    until: Callable[[Site], Awaitable[None]] | None = None,
) -> signal.Signals:
    """Serve a site on a socket that listens until a signal comes, and return that.

    Args:
        listening: As `runner.serve.listening.listen` returns it.
        site: What is served.
        host: The address that the socket listens on, or a name of it.
        hosts: More names that the server is reached by.
        on_start: As of `serve`.
        until: Ends the server when it returns, as a signal does.
    """
    address = listening.getsockname()[0]
    ip = ipaddress.ip_address(address.partition("%")[0])
    app = application(site, [host, address, *hosts], any_address=ip.is_unspecified)
    ends = _Ends(site, until)
    with trio.open_signal_receiver(*_SIGNALS) as signals:
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
        on_start(address_of(host, listening), ip.is_loopback)

        async with trio.open_nursery() as background:
            background.start_soon(site.look_when_asked)
            background.start_soon(site.watch)
            background.start_soon(site.read_runs)
            await serve_connections(
                wrap_app(cast(Framework, app), 0, "asgi"), [listener], partial(ends.wait, signals)
            )
            background.cancel_scope.cancel()
    for workshop in (site.pages, site.readers):
        workshop.close()
    site.index.save()
    return ends.received


class _Ends:
    """What ends the server: a signal, or that `until` returns."""

    def __init__(self, site: Site, until: Callable[[Site], Awaitable[None]] | None) -> None:
        self.received = signal.SIGTERM
        self._site, self._until = site, until

    async def wait(self, signals: AsyncIterator[int]) -> None:
        """Wait for the end, and tell what follows the site that it comes."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._wait_signal, signals, nursery.cancel_scope)
            if self._until is not None:
                await self._until(self._site)
                nursery.cancel_scope.cancel()
        self._site.closing.set()
        self._site.announce()

    async def _wait_signal(self, signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
        async for number in signals:
            self.received = signal.Signals(number)
            scope.cancel()
