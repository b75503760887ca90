"""The cookies of one user (RFC 6265).

The standard library's jar takes more than twenty times as long and has no bounds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

from runner.core.units import NS_PER_S, Nanoseconds

MAX_COOKIES: Final = 50
"""Of one user and domain; the oldest one goes first."""
MAX_COOKIE_BYTES: Final = 4096
"""Of a name, its value and its attributes."""

_BEGIN: Final = b"\nset-cookie"
_SET_COOKIE: Final = re.compile(rb"\nset-cookie[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
_IS_ADDRESS: Final = re.compile(r"[0-9.]+|.*:.*")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SECONDS: Final = re.compile(r"-?[0-9]{1,18}")
_FOREVER: Final = 2**63
_DELIMITER: Final = re.compile(r"[\x09\x20-\x2F\x3B-\x40\x5B-\x60\x7B-\x7E]+")
_TIME: Final = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[^0-9].*)?")
_DAY: Final = re.compile(r"([0-9]{1,2})(?:[^0-9].*)?")
_YEAR: Final = re.compile(r"([0-9]{2,4})(?:[^0-9].*)?")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class Attributes(NamedTuple):
    """What a header says of a cookie besides its name and value.

    Attributes:
        domain: The host, or the domain with all hosts below it.
        host_only: Whether it is the host alone.
        path: Below which it is sent.
        secure: Whether it is sent with HTTPS only.
        expires_ns: When it expires, if there is no `max_age_s`.
        max_age_s: How long it is valid; None if that is not said.
    """

    domain: str
    host_only: bool
    path: str
    secure: bool
    expires_ns: Nanoseconds
    max_age_s: int | None


class Cookie:
    """One cookie; see `Attributes` for those that a header gives it."""

    __slots__ = ("domain", "expires_ns", "host_only", "name", "path", "secure", "value")

    def __init__(self, name: str, value: str, attributes: Attributes, now_ns: Nanoseconds) -> None:
        self.name, self.value = name, value
        self.domain, self.host_only, self.path, self.secure, self.expires_ns, max_age_s = attributes
        if max_age_s is not None:
            self.expires_ns = min(now_ns + max_age_s * NS_PER_S, _FOREVER) if max_age_s > 0 else 0

    def is_sent_to(self, host: str, path: str, *, secure: bool) -> bool:
        """Return whether it belongs into a request (5.4)."""
        return (
            (host == self.domain or (not self.host_only and host.endswith("." + self.domain)))
            and (self.path == "/" or _path_matches(path, self.path))
            and (secure or not self.secure)
        )


class CookieJar:
    """The cookies of one user, in the order in which they were created.

    Attributes:
        cookies: Domain, path and name to cookie.
        sent_last: The last header: for which host, whether with TLS, and its value.
        is_plain: Whether that header holds for all paths and at all times, until another cookie is stored.
    """

    __slots__ = ("cookies", "is_plain", "sent_last")

    def __init__(self) -> None:
        self.cookies: dict[tuple[str, str, str], Cookie] = {}
        self.sent_last: tuple[str, bool, str] = ("", False, "")
        self.is_plain = True

    def __bool__(self) -> bool:
        return bool(self.cookies)

    def store(self, head: bytes, host: str, path: str, now_ns: Nanoseconds) -> None:
        """Keep the cookies that a response sets (5.3).

        Args:
            head: Of the response.
            host: That the request was sent to, in small letters.
            path: Of the request, without its query.
            now_ns: Since 1970.
        """
        for line in set_cookie_lines(head):
            cookie = parse_cookie(line, host, path, now_ns)
            if cookie is None:
                continue
            self.sent_last = ("", False, "")
            self.is_plain &= cookie.path == "/" and cookie.expires_ns == _FOREVER
            place = (cookie.domain, cookie.path, cookie.name)
            if cookie.expires_ns <= now_ns:
                self.cookies.pop(place, None)
            else:
                self.cookies[place] = cookie  # one that is replaced keeps its place in the order
                self._limit(cookie.domain)

    def header(self, host: str, path: str, *, secure: bool, now_ns: Nanoseconds) -> str:
        """Return the value of the Cookie header of a request; empty without cookies for it.

        Those with longer paths come first, then those created first.
        """
        if self.is_plain and self.sent_last[0] == host and self.sent_last[1] is secure:
            return self.sent_last[2]  # neither the path nor the time changes it
        sent = [one for one in self.cookies.values() if one.is_sent_to(host, path, secure=secure)]
        if any(one.expires_ns <= now_ns for one in sent):
            self._expire(now_ns)
            sent = [one for one in sent if one.expires_ns > now_ns]
        if len(sent) > 1:
            sent.sort(key=lambda one: -len(one.path))
        header = "; ".join([f"{one.name}={one.value}" for one in sent])
        self.sent_last = host, secure, header
        return header

    def value(self, name: str, now_ns: Nanoseconds) -> str | None:
        """Return the value of the cookie of a name that was created last; None if there is none."""
        for cookie in reversed(self.cookies.values()):
            if cookie.name == name and cookie.expires_ns > now_ns:
                return cookie.value
        return None

    def _expire(self, now_ns: Nanoseconds) -> None:
        for place in [place for place, one in self.cookies.items() if one.expires_ns <= now_ns]:
            del self.cookies[place]

    def _limit(self, domain: str) -> None:
        if len(self.cookies) > MAX_COOKIES:
            places = [place for place in self.cookies if place[0] == domain]
            if len(places) > MAX_COOKIES:
                del self.cookies[places[0]]


def sets_cookies(head: bytes) -> bool:
    """Return whether a head has a Set-Cookie header."""
    return _BEGIN in head.lower()


def set_cookie_lines(head: bytes) -> list[str]:
    """Return the values of the Set-Cookie headers of a head."""
    lower, lines = head.lower(), []
    at = lower.find(_BEGIN)
    while at >= 0:
        if found := _SET_COOKIE.match(head, at):
            lines.append(found[1].decode("latin-1"))
        at = lower.find(_BEGIN, at + 1)
    return lines


def default_path(path: str) -> str:
    """Return the path of a cookie that has none, from that of the request (5.1.4)."""
    end = path.rfind("/")
    return path[:end] if path.startswith("/") and end > 0 else "/"


def _path_matches(path: str, of_cookie: str) -> bool:
    """Return whether a request's path is a cookie's, or below it (5.1.4)."""
    if not path.startswith(of_cookie):
        return False
    return len(path) == len(of_cookie) or of_cookie.endswith("/") or path[len(of_cookie)] == "/"


def parse_cookie(line: str, host: str, path: str, now_ns: Nanoseconds) -> Cookie | None:
    """Return the cookie that a header sets; None if it is to be ignored (5.2, 5.3)."""
    pair, _, attributes = line.partition(";")
    name, separator, value = pair.partition("=")
    name = name.strip()
    if not separator or not name or len(line) > MAX_COOKIE_BYTES or _CONTROL.search(line):
        return None
    found = _attributes(attributes, host, default_path(path))
    return None if found is None else Cookie(name, value.strip(), found, now_ns)


@lru_cache(maxsize=256)
def _attributes(text: str, host: str, path: str) -> Attributes | None:
    """Return the attributes behind a cookie's value, which are the same for many users; None if not allowed.

    Args:
        text: What follows the first semicolon.
        host: That sets the cookie.
        path: Of the cookie if the attributes have none.
    """
    domain = host, True
    own_path, secure, max_age, expires_ns = path, False, "", _FOREVER
    for attribute in text.split(";"):
        key, _, value = attribute.partition("=")
        key, value = key.strip().lower(), value.strip()
        if key == "domain":
            allowed = _domain(value.lower().removeprefix("."), host)
            if allowed is None:
                return None
            domain = allowed
        elif key == "path":
            own_path = value if value.startswith("/") else path
        elif key == "secure":
            secure = True
        elif key == "max-age" and _SECONDS.fullmatch(value):
            max_age = value
        elif key == "expires":
            date_ns = cookie_date_ns(value)
            expires_ns = expires_ns if date_ns is None else date_ns
    return Attributes(*domain, own_path, secure, expires_ns, int(max_age) if max_age else None)


def _domain(domain: str, host: str) -> tuple[str, bool] | None:
    """Return the domain that a cookie is sent to, and whether it is one host; None if that is not allowed.

    A domain must be the host or above it, and have a dot: no server may set cookies for all of ``.com``.
    """
    if not domain or domain == host:
        return host, not domain or bool(_IS_ADDRESS.fullmatch(host))
    if "." not in domain or _IS_ADDRESS.fullmatch(host) or not host.endswith("." + domain):
        return None
    return domain, False


@lru_cache(maxsize=256)
def cookie_date_ns(text: str) -> Nanoseconds | None:
    """Return when a cookie expires, in nanoseconds since 1970; None if the text is no date (5.1.1)."""
    clock = day = month = year = None
    for token in _DELIMITER.split(text[:100]):
        if clock is None and (found := _TIME.fullmatch(token)):
            clock = int(found[1]), int(found[2]), int(found[3])
        elif day is None and (found := _DAY.fullmatch(token)):
            day = int(found[1])
        elif month is None and token[:3].lower() in _MONTHS:
            month = _MONTHS.index(token[:3].lower()) + 1
        elif year is None and (found := _YEAR.fullmatch(token)):
            year = int(found[1])
    if clock is None or day is None or month is None or year is None:
        return None
    if year < 100:
        year += 1900 if year >= 70 else 2000
    try:
        hour, minute, second = clock
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return max(0, int(moment.timestamp())) * NS_PER_S if year > 1600 else None
