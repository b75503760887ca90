"""URLs of external services: ``http://`` or ``https://host[:port][/path]`` and nothing else.

Also tells local addresses from remote ones, because a typo must not direct load at another machine.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Final, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from runner.experiment.base_model import invalid_value
from runner.experiment.fields import Text, without_variables
from runner.experiment.suggestions import display

_HOST: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})?|\[[0-9A-Fa-f:.]{2,45}\]"
_NUMBER: Final = r"(?i)[0-9]+|0x[0-9a-f]*"


def literal(host: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address that a host is written as, with or without brackets; None for a name."""
    try:
        return ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def is_loopback(address: str) -> bool:
    """Return whether an address is loopback: 127.0.0.0/8 or ::1, also IPv4 mapped into IPv6."""
    return _unmapped(ip_address(address.partition("%")[0])).is_loopback


def plain_host(host: str) -> str:
    """Return a host in normal form: lower case; addresses in short form, unmapped, without brackets."""
    address = literal(host)
    return str(_unmapped(address)) if address else host.lower().removesuffix(".")


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address in an IPv4-mapped address (``::ffff:127.0.0.1``), else the address itself."""
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def host_of(url: str) -> str:
    """Return the host of a checked URL, in the form of `plain_host`."""
    return plain_host(urlsplit(url).hostname or "")


def _http_url(url: str) -> str:
    without_variables(url)
    if not url.isascii() or not url.isprintable() or " " in url:
        raise invalid_value(f"should be an ASCII URL without spaces, not {display(url)}")
    if not url.startswith(("http://", "https://")):
        hint = f"did you mean {display('http://' + url)}?" if "://" not in url else ""
        raise invalid_value(f"should begin with 'http://' or 'https://', not {display(url)}", hint)
    _check_parts(url)
    return url


def _check_parts(url: str) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise invalid_value(f"is not a valid URL ({error}): {display(url)}") from None
    if "@" in parts.netloc:
        hint = "send credentials in load.request.headers"
        raise invalid_value("should not contain a user name or password", hint)
    if "?" in url or "#" in url:
        raise invalid_value("should not contain a query or fragment", "put the query in load.request.path")
    host = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc.removesuffix(":")
    if port == 0 or not re.fullmatch(_HOST, host):
        raise invalid_value(f"should be http://HOST:PORT, not {display(url)}")
    _check_host(host)


def _check_host(host: str) -> None:
    """Refuse a host that looks like an address but is not a usable one.

    Some programs read a number that is not a dotted address as an address, others look it up as a name.
    """
    address = literal(host)
    is_address = host.startswith("[") or re.fullmatch(_NUMBER, host.rstrip(".").rpartition(".")[2])
    if is_address and address is None:
        hint = "write it as four numbers, such as 127.0.0.1"
        raise invalid_value(f"{display(host)} is not a valid address", hint)
    if address and _unmapped(address).is_unspecified:
        here = "127.0.0.1" if address.version == 4 else "[::1]"
        raise invalid_value(f"{host} is an address to listen on, not one to connect to", f"write {here}")


def _host(host: str) -> str:
    """Return a host of ``load.allow_hosts`` in the form of `plain_host`."""
    if not re.fullmatch(_HOST, host) and literal(host) is None:
        raise invalid_value(f"should be a host name or address without scheme and port, not {display(host)}")
    _check_host(host)
    return plain_host(host)


HttpUrl: TypeAlias = Annotated[
    Text,
    AfterValidator(_http_url),
    Field(max_length=2000, json_schema_extra={"pattern": "^https?://[^@?# ]+$"}),
]

HostName: TypeAlias = Annotated[Text, AfterValidator(_host), Field(max_length=255)]
