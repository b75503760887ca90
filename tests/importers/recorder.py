"""Records what a client does as a browser would: a HAR, without what a real client does not know either."""

import json
from datetime import UTC, datetime, timedelta
from typing import Self

import httpx


class Recorder:
    """A browser that follows redirects and keeps cookies."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url)
        self._entries = []
        self._now = datetime(2026, 11, 29, 10, tzinfo=UTC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def wait(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)

    def send(self, method: str, url: str, **content) -> httpx.Response:
        response = self._client.request(method, url, **content)
        self._entries.append(self._entry(response))
        while response.is_redirect and response.next_request.url.host == response.request.url.host:
            response = self._client.send(response.next_request)
            self._entries.append(self._entry(response))
        return response

    def _entry(self, response: httpx.Response) -> dict:
        request, started = response.request, self._now
        self.wait(0.005)
        kind = request.headers.get("content-type", "")
        sent = {"postData": {"mimeType": kind, "text": request.content.decode()}} if request.content else {}
        return {
            "startedDateTime": started.isoformat(),
            "time": 5,
            "request": {
                "method": request.method,
                "url": str(request.url),
                "headers": _pairs(request.headers),
                **sent,
            },
            "response": {
                "status": response.status_code,
                "headers": _pairs(response.headers),
                "content": {"mimeType": response.headers.get("content-type", ""), "text": response.text},
            },
        }

    def har(self) -> bytes:
        return json.dumps({"log": {"version": "1.2", "creator": {}, "entries": self._entries}}).encode()


def _pairs(headers: httpx.Headers) -> list[dict]:
    return [{"name": name, "value": value} for name, value in headers.multi_items()]
