"""Where the load goes."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Tls(Struct, frozen=True, omit_defaults=True):
    """TLS settings of an endpoint.

    Attributes:
        server_name: The name that the certificate must contain; also sent to the server (SNI).
        ca_file: PEM file of trusted authorities; empty for those of the system.
        insecure: Accept any certificate.
    """

    server_name: str
    ca_file: str = ""
    insecure: bool = False


class Endpoint(Struct, frozen=True, omit_defaults=True):
    """Where the load goes.

    Attributes:
        host: Name or address; IPv6 addresses without brackets.
        base_path: Prefix of every request's path, without a trailing slash; usually empty.
        address: The address to connect to, when `host` was resolved and checked already; it is not
            resolved again. Empty when `host` is used as it is.
        addresses: All addresses to connect to in turn, checked already, where there are several.
    """

    host: str
    port: int
    scheme: Literal["http", "https"] = "http"
    base_path: str = ""
    address: str = ""
    tls: Tls | None = None
    addresses: tuple[str, ...] = ()
