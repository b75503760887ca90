"""HTTP for the APIs of the providers: respects rate limits, repeats only what is safe, leaks no token.

GitHub: https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api
(Retry-After first, then x-ratelimit-reset, then a minute and longer for secondary limits).
GitLab: 429 with Retry-After or RateLimit-Reset.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cache
from math import isfinite
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import httpx

from runner.core.errors import PublishFailed
from runner.core.units import BYTES_PER_MIB, Seconds

_TRIES: Final = 4
_REDIRECTS: Final = 3
_MAX_BYTES: Final = 16 * BYTES_PER_MIB
_WHOLE_S: Final[Seconds] = 60.0
_FIRST_PAUSE_S: Final[Seconds] = 1.0
_SECONDARY_PAUSE_S: Final[Seconds] = 60.0
_MAX_MESSAGE: Final = 300
_REPEATABLE: Final = frozenset({"GET", "PATCH", "PUT", "DELETE"})
_TRANSIENT: Final = frozenset({500, 502, 503, 504})
_MOVED: Final = frozenset({301, 302, 307, 308})
_LIMITS: Final = (("x-ratelimit-remaining", "x-ratelimit-reset"), ("ratelimit-remaining", "ratelimit-reset"))
_TIMEOUT: Final = httpx.Timeout(20.0, connect=10.0)


@cache
def _trusted() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _http() -> httpx.Client:
    return httpx.Client(timeout=_TIMEOUT, verify=_trusted())


class Uncertain(Exception):  # noqa: N818  (a state, not a fault)
    """A POST may have taken effect or not: check before sending it again."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A complete response of a provider.

    Attributes:
        status: The HTTP status.
        headers: By lower-case name.
        data: Its JSON, None if it is none.
    """

    status: int
    headers: Mapping[str, str]
    data: Any

    @property
    def message(self) -> str:
        """The provider's explanation, on one line; empty if there is none."""
        if not isinstance(self.data, dict):
            return ""
        text = self.data.get("message") or self.data.get("error") or ""
        return " ".join(str(text).split())[:_MAX_MESSAGE]


@dataclass(slots=True)
class ApiClient:
    """A client of one provider's API.

    Attributes:
        base: The API's address without a trailing slash.
        token: The secret; shown nowhere.
        headers: Sent with every request, the token's header among them.
        max_wait_s: How long to wait in total.
        sleep: Waits; tests pass one that only records.
        now: Returns seconds since the epoch.
        http: Sends.
        waited_s: How long it has waited in total.
        refused: How often it had to wait; pauses double with it.
    """

    base: str
    token: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    max_wait_s: Seconds = 300.0
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time
    http: httpx.Client = field(default_factory=_http, repr=False)
    waited_s: Seconds = 0.0
    refused: int = 0

    def call(
        self, method: str, path: str, body: Mapping[str, object] | None = None, *, reads: bool = False
    ) -> ApiResponse:
        """Send a request until there is a response that waiting would not change, and return it.

        Args:
            method: A POST is sent once; the caller checks its effect before sending it again.
            path: Below `base`, or an address on the same host.
            body: Sent as JSON.
            reads: A POST that changes nothing and may be repeated.

        Raises:
            Uncertain: A POST may have taken effect. The required pause is over.
            PublishFailed: The host cannot be reached, or demands a longer pause than allowed.
        """
        once = method not in _REPEATABLE and not reads
        response, reason = None, ""
        for attempt in range(_TRIES):
            response, reason = self._once(method, path, body)
            pause = self._required_pause(response) if response else None
            if response and pause is None and response.status not in _TRANSIENT:
                return response
            if once or attempt < _TRIES - 1:
                self.wait(_FIRST_PAUSE_S * 2.0**self.refused if pause is None else pause, reason)
            self.refused += 1
            if once:
                raise Uncertain(self.masked(reason))
        if response is None:
            raise self.failure(
                f"cannot be reached, after {_TRIES} tries: {reason}",
                hint="check the network, HTTPS_PROXY and --api-url; if it is down, try again later",
            )
        raise self.failure(f"failed {_TRIES} times: {reason}", hint="try again later")

    def _once(
        self, method: str, path: str, body: Mapping[str, object] | None
    ) -> tuple[ApiResponse | None, str]:
        """Send one request and follow its redirects; without a response, return the reason."""
        url = self._url(path)
        try:
            for _ in range(_REDIRECTS):
                response = self._send(method, url, body)
                target = response.headers.get("location", "")
                if response.status not in _MOVED or not target:
                    return response, f"it responded with {response.status} {response.message}".rstrip()
                url = self._url(urljoin(url, target))
        except httpx.TimeoutException:
            return None, "it did not respond in time"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return None, f"{type(error).__name__}: {error}"
        raise self.failure("redirects in circles", hint="check the address of the API")

    def _send(self, method: str, url: str, body: Mapping[str, object] | None) -> ApiResponse:
        with self.http.stream(method, url, json=body, headers=dict(self.headers)) as response:
            content = self._content(response)
        try:
            data = json.loads(content) if content else None
        except (ValueError, RecursionError):
            data = None
        return ApiResponse(response.status_code, dict(response.headers), data)

    def _content(self, response: httpx.Response) -> bytes:
        """Return a body, of bounded size and received in bounded time."""
        content, ends = b"", time.monotonic() + _WHOLE_S
        for piece in response.iter_bytes():
            content += piece
            if len(content) > _MAX_BYTES or time.monotonic() > ends:
                raise self.failure(
                    f"sends more than {_MAX_BYTES // BYTES_PER_MIB} MiB, or for more than {_WHOLE_S:.0f} s",
                    hint="check the address of the API",
                )
        return content

    def _url(self, path: str) -> str:
        """Return an absolute address on the API's own host: the token is sent nowhere else."""
        url = path if "://" in path else f"{self.base}{path}"
        ours, theirs = urlsplit(self.base), urlsplit(url)
        if (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):
            raise self.failure(
                f"points to another host ({theirs.scheme}://{theirs.hostname})",
                hint="the token is not sent there; if that address is correct, give it with --api-url",
            )
        return url

    def _required_pause(self, response: ApiResponse) -> Seconds | None:
        """Return the pause that the provider demands; None if it demands none."""
        headers = response.headers
        if response.status not in {403, 429} and not (response.status == 503 and "retry-after" in headers):
            return None
        if (after := self._retry_after(headers.get("retry-after"))) is not None:
            return after
        for remaining, reset in _LIMITS:
            if headers.get(remaining) == "0" and (at := _number(headers.get(reset))) is not None:
                return max(at - self.now(), 0) + 1
        message = response.message.lower()
        if response.status == 429 or "secondary rate" in message or "abuse detection" in message:
            return _SECONDARY_PAUSE_S * 2.0**self.refused
        return None

    def _retry_after(self, value: str | None) -> Seconds | None:
        """Return seconds from a number or a date (RFC 9110, 10.2.3)."""
        if value is None:
            return None
        seconds = _number(value)
        if seconds is None:
            try:
                seconds = parsedate_to_datetime(value).timestamp() - self.now()
            except ValueError:
                return _SECONDARY_PAUSE_S
        return max(seconds, 0.0)

    def wait(self, seconds: Seconds, reason: str) -> None:
        """Sleep, unless that exceeds the total time to wait.

        Raises:
            PublishFailed: It does.
        """
        if self.waited_s + seconds > self.max_wait_s:
            raise self.failure(
                f"demands a pause of {seconds:,.0f} s, which exceeds the limit of "
                f"{self.max_wait_s:,.0f} s in total: {reason}",
                hint="try again later, or comment less often",
            )
        self.waited_s += seconds
        self.sleep(seconds)

    def failure(self, message: str, *, hint: str) -> PublishFailed:
        """Return an error that names the host and never the token."""
        return PublishFailed(self.masked(f"{urlsplit(self.base).hostname} {message}"), hint=hint)

    def masked(self, text: str) -> str:
        """Return text without the token, in case a server sent it back."""
        return text.replace(self.token, "***") if self.token else text


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if isfinite(number) else None
