"""HTTP as the providers want it: waits when told to, repeats only what may be repeated, leaks no token.

GitHub: https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api
(Retry-After first, then x-ratelimit-reset, then a minute and longer for secondary limits).
GitLab: 429 with Retry-After or RateLimit-Reset.
"""

from __future__ import annotations

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
from runner.core.units import Seconds

_TRIES: Final = 4
_REDIRECTS: Final = 3
_FIRST_PAUSE: Final = 1.0
_SECONDARY_PAUSE: Final = 60.0
_SAFE: Final = frozenset({"GET", "PATCH", "PUT", "DELETE"})
_PASSING: Final = frozenset({500, 502, 503, 504})
_MOVED: Final = frozenset({301, 302, 307, 308})
_LIMITS: Final = (("x-ratelimit-remaining", "x-ratelimit-reset"), ("ratelimit-remaining", "ratelimit-reset"))
_TIME_OUT: Final = httpx.Timeout(20.0, connect=10.0)


@cache
def _trusted() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _client() -> httpx.Client:
    return httpx.Client(timeout=_TIME_OUT, verify=_trusted())


class Uncertain(Exception):  # noqa: N818  (a state, not a fault)
    """A POST may have taken effect or not: look before sending it again."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider said, read whole.

    Attributes:
        status: The HTTP status.
        headers: By lower-case name.
        data: Its JSON, None when it is none.
    """

    status: int
    headers: Mapping[str, str]
    data: Any

    @property
    def message(self) -> str:
        """The provider's own words, on one line; empty when there are none."""
        if not isinstance(self.data, dict):
            return ""
        said = self.data.get("message") or self.data.get("error") or ""
        return " ".join(str(said).split())[:300]


@dataclass(slots=True)
class Wire:
    """A connection to one provider's API.

    Attributes:
        base: The API's address without a trailing slash.
        token: The secret; shown nowhere.
        headers: Sent with every request, the token's header among them.
        patience_s: How long to wait in all, at most.
        sleep: Waits; tests give one that only notes.
        now: Seconds since the epoch.
        client: Sends.
        waited_s: How long was waited so far.
        refused: How often it had to; pauses double with it.
    """

    base: str
    token: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    patience_s: Seconds = 300.0
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time
    client: httpx.Client = field(default_factory=_client, repr=False)
    waited_s: Seconds = 0.0
    refused: int = 0

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, reads: bool = False
    ) -> Answer:
        """Send a request until there is an answer that waiting will not change.

        Args:
            method: A POST is sent once; whoever asked for it looks before sending it again.
            path: Below `base`, or an address on the same host.
            body: Sent as JSON.
            reads: A POST that changes nothing and may be repeated.

        Raises:
            Uncertain: A POST may have taken effect. What had to be waited was waited.
            PublishFailed: The host cannot be reached, or asks for more patience than there is.
        """
        once = method not in _SAFE and not reads
        answer, reason = None, ""
        for attempt in range(_TRIES):
            answer, reason = self._once(method, path, body)
            pause = self._asked_pause(answer) if answer else None
            if answer and pause is None and answer.status not in _PASSING:
                return answer
            if once or attempt < _TRIES - 1:
                self.wait(_FIRST_PAUSE * 2.0**self.refused if pause is None else pause, reason)
            self.refused += 1
            if once:
                raise Uncertain(self.hidden(reason))
        if answer is None:
            raise self.failure(
                f"cannot be reached, after {_TRIES} tries: {reason}",
                hint="check the network, HTTPS_PROXY and --api-url; or it is down: try again later",
            )
        raise self.failure(f"did not do what it was asked, {_TRIES} times: {reason}", hint="try again later")

    def _once(self, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[Answer | None, str]:
        """One request and its redirects; without an answer, the reason."""
        url = self._url(path)
        try:
            for _ in range(_REDIRECTS):
                answer = self._send(method, url, body)
                target = answer.headers.get("location", "")
                if answer.status not in _MOVED or not target:
                    return answer, f"it answered {answer.status} {answer.message}".rstrip()
                url = self._url(urljoin(url, target))
        except httpx.TimeoutException:
            return None, "it did not answer in time"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return None, f"{type(error).__name__}: {error}"
        raise self.failure("redirects in circles", hint="check the address of the API")

    def _send(self, method: str, url: str, body: Mapping[str, Any] | None) -> Answer:
        response = self.client.request(method, url, json=body, headers=dict(self.headers))
        try:
            data = response.json() if response.content else None
        except ValueError:
            data = None
        return Answer(response.status_code, dict(response.headers), data)

    def _url(self, path: str) -> str:
        """An absolute address on the API's own host: the token goes nowhere else."""
        url = path if "://" in path else f"{self.base}{path}"
        ours, theirs = urlsplit(self.base), urlsplit(url)
        if (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):
            raise self.failure(
                f"points to another host ({theirs.scheme}://{theirs.hostname})",
                hint="the token is not sent there; give that address with --api-url if it is right",
            )
        return url

    def _asked_pause(self, answer: Answer) -> Seconds | None:
        """How long the provider wants to be left alone; None when it does not."""
        headers = answer.headers
        if answer.status not in {403, 429} and not (answer.status == 503 and "retry-after" in headers):
            return None
        if (after := self._retry_after(headers.get("retry-after"))) is not None:
            return after
        for remaining, reset in _LIMITS:
            if headers.get(remaining) == "0" and (at := _number(headers.get(reset))) is not None:
                return max(at - self.now(), 0) + 1
        said = answer.message.lower()
        if answer.status == 429 or "secondary rate" in said or "abuse detection" in said:
            return _SECONDARY_PAUSE * 2.0**self.refused
        return None

    def _retry_after(self, value: str | None) -> Seconds | None:
        """Seconds from a number or a date (RFC 9110, 10.2.3)."""
        if value is None:
            return None
        seconds = _number(value)
        if seconds is None:
            try:
                seconds = parsedate_to_datetime(value).timestamp() - self.now()
            except ValueError:
                return _SECONDARY_PAUSE
        return max(seconds, 0.0)

    def wait(self, seconds: Seconds, reason: str) -> None:
        """Sleep, unless patience would end.

        Raises:
            PublishFailed: There is not that much patience left.
        """
        if self.waited_s + seconds > self.patience_s:
            raise self.failure(
                f"asks to wait {seconds:,.0f} s, which is longer than there is patience for: {reason}",
                hint="try again later, or comment less often",
            )
        self.waited_s += seconds
        self.sleep(seconds)

    def failure(self, said: str, *, hint: str) -> PublishFailed:
        """An error that names the host and never the token."""
        return PublishFailed(self.hidden(f"{urlsplit(self.base).hostname} {said}"), hint=hint)

    def hidden(self, text: str) -> str:
        """Text without the token, should a server have sent it back."""
        return text.replace(self.token, "***") if self.token else text


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if isfinite(number) else None
