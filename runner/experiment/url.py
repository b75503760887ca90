"""Where an external service answers: ``http://`` or ``https://host[:port][/path]`` and nothing else.

Also which addresses are this machine's own, since a load tool must not be aimed by a typo.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Final, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from runner.experiment.base_model import complaint
from runner.experiment.fields import Text
from runner.experiment.suggestions import shown

_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})?|\[[0-9A-Fa-f:.]{2,45}\]")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)


def literal(host: str) -> IPv4Address | IPv6Address | None:
    """The address that a host, with or without brackets, is written as; None for a name."""
    try:
        return ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def is_loopback(address: str) -> bool:
    """Whether what is sent to an address stays on this machine: 127.0.0.0/8 and ::1, mapped or not."""
    return _unmapped(ip_address(address.partition("%")[0])).is_loopback


def plain_host(host: str) -> str:
    """A host as it is compared: lower case; addresses in their shortest form, unmapped, without brackets."""
    address = literal(host)
    return str(_unmapped(address)) if address else host.lower().removesuffix(".")


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address stands for (``::ffff:127.0.0.1``), else itself."""
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def host_of(url: str) -> str:
    """The host of a checked URL, as `plain_host` has it."""
    return plain_host(urlsplit(url).hostname or "")


def _http_url(url: str) -> str:
    """The URL unchanged.

    Raises:
        PydanticCustomError: It is not ``http(s)://host[:port][/path]``.
    """
    if not url.isascii() or not url.isprintable() or " " in url:
        raise complaint(f"should be an ASCII URL without spaces, not {shown(url)}")
    if not url.startswith(("http://", "https://")):
        hint = f"did you mean {shown('http://' + url)}?" if "://" not in url else ""
        raise complaint(f"should begin with 'http://' or 'https://', not {shown(url)}", hint)
    _check_parts(url)
    return url


def _check_parts(url: str) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise complaint(f"is no URL ({error}): {shown(url)}") from None
    if "@" in parts.netloc:
        raise complaint("should hold no user name or password", "send credentials in load.request.headers")
    if "?" in url or "#" in url:
        raise complaint("should hold no query and no fragment", "put the query into load.request.path")
    host = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc.removesuffix(":")
    if port == 0 or not _HOST.fullmatch(host):
        raise complaint(f"should be http://HOST:PORT, not {shown(url)}")
    _check_host(host)


def _check_host(host: str) -> None:
    """Complain of a host that is not what it looks like.

    Raises:
        PydanticCustomError: A number that is no dotted address (which some programs read as one,
            and others look up as a name), brackets around something else, or no host's address.
    """
    address = literal(host)
    is_address = host.startswith("[") or _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2])
    if is_address and address is None:
        raise complaint(f"{shown(host)} is no address", "write it as four numbers, such as 127.0.0.1")
    if address and _unmapped(address).is_unspecified:
        here = "127.0.0.1" if address.version == 4 else "[::1]"
        raise complaint(f"{host} is where a server listens, not where it is reached", f"write {here}")


def _host(host: str) -> str:
    """A host in ``load.allow_hosts``, as `plain_host` has it.

    Raises:
        PydanticCustomError: It is no host alone.
    """
    if not _HOST.fullmatch(host) and literal(host) is None:
        raise complaint(f"should be a host's name or address without scheme and port, not {shown(host)}")
    _check_host(host)
    return plain_host(host)


HttpUrl: TypeAlias = Annotated[
    Text,
    AfterValidator(_http_url),
    Field(max_length=2000, json_schema_extra={"pattern": "^https?://[^@?# ]+$"}),
]

HostName: TypeAlias = Annotated[Text, AfterValidator(_host), Field(max_length=255)]
