"""The SDK's client for engines on other machines, by TCP or TLS, with the bounds of `bounded_client`."""

from __future__ import annotations

import ssl
from typing import Any, Final

from docker.tls import TLSConfig
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from runner.stack.docker.bounded_client import BoundedClient, BoundedRequests, BoundedSocket, Bounds
from runner.stack.engine_address import certificate_files, parse_address, tls_context


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
    if not address.tls:
        return _TcpClient(base_url=f"http://{host}:{address.port}", version=version, timeout=timeout)
    authority, certificate, key = map(str, certificate_files())
    config = TLSConfig(client_cert=(certificate, key), ca_cert=authority, verify=True)
    url = f"https://{host}:{address.port}"
    return _TlsClient(base_url=url, version=version, timeout=timeout, tls=config)


class _TcpClient(BoundedClient):
    """A client that connects by TCP, and never through a proxy of the environment."""

    tls = False

    def __init__(self, **arguments: Any) -> None:  # as of the SDK's own
        super().__init__(**arguments)
        self.trust_env = False

    def mount(self, prefix: str | bytes, adapter: BaseAdapter) -> None:
        """Use bounded connections for every prefix."""
        del adapter
        super().mount(prefix, _Adapter(tls=self.tls))


class _TlsClient(_TcpClient):
    """A client that also encrypts."""

    tls = True


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

    def __init__(self, *, tls: bool) -> None:
        self._tls = tls
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Prepare pools of bounded connections."""
        if self._tls:
            options["ssl_context"] = context = tls_context()
            context.sslsocket_class = _TlsSocket
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS
