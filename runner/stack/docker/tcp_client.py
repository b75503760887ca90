"""The SDK's client for engines on other machines, by TCP or TLS, with the bounds of `bounded_client`."""

from __future__ import annotations

import ssl
from typing import Any, Final

from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from runner.stack.docker.bounded_client import BoundedClient, BoundedRequests, BoundedSocket, Bounds
from runner.stack.engine_address import TlsFiles, parse_address, tls_context


def open_client(base_url: str, *, version: str, timeout: int) -> BoundedClient:
    """Return a client for the engine at a URL.

    Args:
        base_url: Of a Unix socket or another machine.
        version: Of the API.
        timeout: Seconds without a byte of a response.

    Raises:
        WrongAddress: The URL or the certificates cannot be used.
    """
    address = parse_address(base_url)
    if address.path:
        return BoundedClient(base_url=base_url, version=version, timeout=timeout)
    host = f"[{address.host}]" if ":" in address.host else address.host
    scheme = "https" if address.tls else "http"
    url = f"{scheme}://{host}:{address.port}"
    return _TcpClient(address.tls, base_url=url, version=version, timeout=timeout)


class _TcpClient(BoundedClient):
    """A client that connects by TCP, encrypted or not, and never through a proxy of the environment."""

    def __init__(self, files: TlsFiles | None, **arguments: Any) -> None:  # as of the SDK's own
        self._files = files
        super().__init__(**arguments)
        self.trust_env = False
        if files and files.authority:
            self.verify = str(files.authority)  # no other authority
        if files and not files.verify:
            self.verify = False

    def mount(self, prefix: str | bytes, adapter: BaseAdapter) -> None:
        """Use bounded connections for every prefix."""
        del adapter
        super().mount(prefix, _Adapter(self._files))


class _Bounded(BoundedRequests):
    """The part of both kinds of connection that makes their socket a bounded one."""

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]  # of urllib3's class, which comes next
        self.sock.bound(self.limits)

    def _new_conn(self) -> BoundedSocket:
        plain = super()._new_conn()  # type: ignore[misc]  # likewise
        timeout = plain.gettimeout()
        sock = BoundedSocket(fileno=plain.detach())
        sock.settimeout(timeout)
        return sock


class _TcpConnection(_Bounded, HTTPConnection):
    """A connection by TCP."""


class _TlsConnection(_Bounded, HTTPSConnection):
    """A connection by TLS."""


class _TcpPool(HTTPConnectionPool):
    ConnectionCls = _TcpConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS: Final = {"http": _TcpPool, "https": _TlsPool}


class _TlsSocket(Bounds, ssl.SSLSocket):
    """An encrypted socket on which waiting and receiving have limits."""


class _Adapter(HTTPAdapter):
    """Makes bounded connections."""

    def __init__(self, files: TlsFiles | None) -> None:
        self._files = files
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Prepare pools of bounded connections."""
        if self._files:
            options["ssl_context"] = context = tls_context(self._files)
            context.sslsocket_class = _TlsSocket
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS
