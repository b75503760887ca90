"""Why a user does not keep a cookie that a response sets, or does not send it back: for `runner try`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from runner.core.units import Nanoseconds
from runner.load.cookies import MAX_COOKIE_BYTES, parse_cookie, set_cookie_lines
from runner.load.origins import Place

_MAX_SHOWN: Final = 100


def cookie_problems(head: bytes, place: Place, now_ns: Nanoseconds) -> Iterator[str]:
    """Yield a sentence for each cookie of a response that later requests to the same server lack.

    Args:
        head: Of the response.
        place: Where the request was sent.
        now_ns: Since 1970.
    """
    for line in set_cookie_lines(head):
        cookie = parse_cookie(line, place.origin.host, place.path, now_ns)
        name = line.partition(";")[0].partition("=")[0].strip()[:_MAX_SHOWN]
        if cookie is None:
            yield f"the cookie {name} is not kept: {_reason(line, place.origin.host)}"
        elif cookie.secure and not place.origin.secure and cookie.expires_ns > now_ns:
            yield f"the cookie {name} is not sent: it is Secure, and the service is reached by http"


def _reason(line: str, host: str) -> str:
    """Return why a header sets no cookie, as a clause."""
    pair, _, attributes = line.partition(";")
    if len(line) > MAX_COOKIE_BYTES:
        return f"it is longer than {MAX_COOKIE_BYTES:,} bytes"
    if not pair.partition("=")[0].strip() or "=" not in pair:
        return "it has no name or no value"
    parts = [attribute.partition("=") for attribute in attributes.split(";")]
    domains = [value.strip() for key, _, value in parts if key.strip().lower() == "domain"]
    if domains:
        return f"its domain {domains[-1][:_MAX_SHOWN]} is not that of {host}"
    return "it contains a control character"
