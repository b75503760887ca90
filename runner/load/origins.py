"""The servers that a user of a scenario may send requests to, and the URLs that lead there."""

from __future__ import annotations

import re
import socket
from typing import Final, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from runner.core.template import ENCODERS, URL_CHARACTERS, Position
from runner.load.worker_order import WorkerOrder

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
"""Status codes of responses that lead elsewhere."""
MAX_URL: Final = 8192
"""Characters of the longest URL that is followed."""

_PORTS: Final = {"http": 80, "https": 443}
_COOKIE: Final = re.compile(rb"\r\ncookie[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
_OF_A_BODY: Final = frozenset(
    {b"content-length", b"content-type", b"content-encoding", b"content-language", b"content-location"}
)
_OF_AN_ORIGIN: Final = frozenset({b"host", b"authorization", b"cookie", b"proxy-authorization"})


class NotAllowed(ValueError):  # noqa: N818  (a fact about a response, not an error of ours)
    """A URL cannot be followed; the text says why, as a clause."""


class Origin:
    """A server; there is one object for each.

    Attributes:
        scheme: http or https.
        host: In small letters; IPv6 addresses without brackets.
        family: Address family number of `address`.
        address: As `socket.connect` takes it.
        host_header: The value of the Host header.
        url: The URL of its root.
    """

    __slots__ = ("address", "family", "host", "host_header", "port", "scheme", "secure", "url")

    def __init__(
        self, scheme: str, host: str, port: int, family: int, address: tuple[str | int, ...]
    ) -> None:
        self.scheme, self.host, self.port = scheme, host, port
        self.secure = scheme == "https"
        self.family, self.address = family, address
        name = f"[{host}]" if ":" in host else host
        self.host_header = name if port == _PORTS[scheme] else f"{name}:{port}"
        self.url = f"{scheme}://{self.host_header}/"


class Place(NamedTuple):
    """A URL that may be requested.

    Attributes:
        origin: Where it is sent to.
        target: Path and query.
    """

    origin: Origin
    target: str

    @property
    def path(self) -> str:
        """Its path, without the query."""
        return self.target.partition("?")[0]


class Origins:
    """The servers that requests may go to: the target's host and the hosts that the specification allows.

    Args:
        order: Where the load goes.
    """

    def __init__(self, order: WorkerOrder) -> None:
        assert order.scenarios is not None
        scenarios = order.scenarios
        self._addresses = {host.name: (host.family, host.address) for host in scenarios.hosts}
        self._addresses[scenarios.host] = order.family, str(order.address[0])
        self.target = Origin(scenarios.scheme, scenarios.host, scenarios.port, order.family, order.address)
        self._known: dict[tuple[str, str, int], Origin] = {
            (scenarios.scheme, scenarios.host, scenarios.port): self.target
        }

    def resolve(self, reference: str, base: Place) -> Place:
        """Return where a URL leads to that stands in a response to `base` (RFC 3986, 5).

        Raises:
            NotAllowed: It is no URL of HTTP, or the host is not allowed.
        """
        if len(reference) > MAX_URL:
            raise NotAllowed(f"the URL is longer than {MAX_URL:,} characters")
        try:
            url = urlsplit(
                urljoin(base.origin.url + base.target.lstrip("/"), ENCODERS[Position.URL](reference))
            )
            port, host = url.port, (url.hostname or "").rstrip(".")
        except ValueError:
            raise NotAllowed("it does not lead to a URL") from None
        if url.scheme not in _PORTS or not host or port == 0:
            raise NotAllowed("it does not lead to a URL of http or https")
        path = quote(url.path, safe=URL_CHARACTERS) or "/"
        return Place(
            self._origin(url.scheme, host, port or _PORTS[url.scheme]),
            f"{path}?{url.query}" if url.query else path,
        )

    def _origin(self, scheme: str, host: str, port: int) -> Origin:
        """Return a server.

        Raises:
            NotAllowed: Its host is not the target's, and the specification does not allow it.
        """
        known = self._known.get((scheme, host, port))
        if known is None:
            if host not in self._addresses:
                raise NotAllowed(f"the host {host[:100]} is neither the target's nor in load.allow_hosts")
            family, address = self._addresses[host]
            rest = (0, 0) if family == socket.AF_INET6 else ()
            known = Origin(scheme, host, port, family, (address, port, *rest))
            self._known[scheme, host, port] = known
        return known


def target_of(content: bytes) -> str:
    """Return what stands between the method and the version in a request."""
    line = content[: content.index(b"\r\n")]
    return line[line.index(b" ") + 1 : line.rindex(b" ")].decode("latin-1")


def readdressed(content: bytes, place: Place, *, same_origin: bool, status: int = 0) -> bytes:
    """Return a request to another place, as browsers follow redirects (fetch, "HTTP-redirect fetch").

    303, and 301 or 302 after POST, lead to GET without a body. What belongs to an origin, credentials above
    all, is not sent to another one.

    Args:
        content: The request.
        place: Where it goes.
        same_origin: Whether that is the same server.
        status: Of the redirect; 0 if there was none.
    """
    head, _, body = content.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    method = line[: line.index(b" ")]
    dropped: frozenset[bytes] = frozenset() if same_origin else _OF_AN_ORIGIN
    if (status == 303 and method not in {b"GET", b"HEAD"}) or (status in {301, 302} and method == b"POST"):
        method, body, dropped = b"GET", b"", dropped | _OF_A_BODY
    if dropped:
        fields = [field for field in fields if field.partition(b":")[0].strip().lower() not in dropped]
    if not same_origin:
        fields.insert(0, b"Host: " + place.origin.host_header.encode())
    return b"\r\n".join([b"%b %b HTTP/1.1" % (method, place.target.encode()), *fields, b"", body])


def with_cookies(content: bytes, cookies: str) -> bytes:
    """Return a request with a Cookie header."""
    if not cookies:
        return content
    end = content.index(b"\r\n\r\n") + 2
    return b"%bCookie: %b\r\n%b" % (content[:end], cookies.encode("latin-1"), content[end:])


def with_more_cookies(content: bytes, cookies: str) -> bytes:
    """Return a request that may have a Cookie header, with those cookies that it does not have."""
    own = _COOKIE.search(content, 0, content.index(b"\r\n\r\n") + 2)
    if own is None:
        return with_cookies(content, cookies)
    names = {pair.partition(b"=")[0].strip() for pair in own[1].split(b";")}
    added = [pair for pair in cookies.encode("latin-1").split(b"; ") if pair.partition(b"=")[0] not in names]
    return b"; ".join([content[: own.end()], *added]) + content[own.end() :] if cookies else content
