"""The SDK's client with bounds: on the bytes and the time of a response, whatever an engine sends.

The SDK trusts the engine: it waits for ever after ``100 Continue``, follows redirects, decompresses, and
reads bodies of any size. Here every byte passes one socket that counts.
"""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from docker import APIClient
from docker.errors import APIError
from docker.transport import UnixHTTPAdapter
from docker.transport.unixconn import UnixHTTPConnection, UnixHTTPConnectionPool
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter

from runner.core.units import BYTES_PER_MIB, Bytes, Seconds
from runner.stack.docker.responses import Progress, Refusal

MAX_LINE: Final[Bytes] = BYTES_PER_MIB
"""Of a stream of JSON lines, such as the output of a build."""
HEAD_WITHIN_S: Final[Seconds] = 60.0
"""How long the engine may take to begin a response."""

_FRAME_HEADER: Final = struct.Struct(">4xL")
_FRAME_CHUNK: Final[Bytes] = 65_536
_MAX_REASON: Final = 2_000
_TO_ENGINE: Final = "http+docker://"


T = TypeVar("T")


class Limits(NamedTuple):
    """What one request may take.

    Attributes:
        total_s: From its first byte to the last one of the response.
        silence_s: Without any byte of the response.
        max_bytes: Of the response.
    """

    total_s: Seconds
    silence_s: Seconds
    max_bytes: Bytes


CALL: Final = Limits(total_s=60.0, silence_s=60.0, max_bytes=16 * BYTES_PER_MIB)
JOB: Final = Limits(total_s=4 * 3600.0, silence_s=1800.0, max_bytes=64 * BYTES_PER_MIB)
"""For a build, a pull, a push or an import: a step of a build can be silent for a long time."""

EXEC: Final = Limits(total_s=2 * 3600.0, silence_s=2 * 3600.0, max_bytes=16 * 1024 * BYTES_PER_MIB)
"""For the output of a program in a container, which can be silent until it ends; little of it is kept."""

_JOBS: Final = re.compile(r"/v[^/]*/(?:build|images/create|images/.+/push)(?:\?|$)")
_EXECS: Final = re.compile(r"/v[^/]*/exec/[^/]*/start$")


class UnusableResponse(Exception):  # noqa: N818  (reads as the sentence it is)
    """What the engine sent is not the response of a Docker Engine; the message says why, as a clause."""


class BoundedClient(APIClient):
    """The SDK's client for an engine on a Unix socket; `tcp_client` connects it to others."""

    _url: Any  # the types of the SDK do not declare these methods
    _post_json: Any
    _get: Any

    def mount(self, prefix: str | bytes, adapter: BaseAdapter) -> None:
        """Use a bounded connection wherever the SDK uses its own."""
        if isinstance(adapter, UnixHTTPAdapter):
            adapter = _Adapter(f"http+unix://{adapter.socket_path}")
        super().mount(prefix, adapter)

    def send(self, request: PreparedRequest, **options: Any) -> Response:  # options of requests' own `send`
        """Send a request without following redirects, and read the response unless it is a stream.

        Raises:
            UnusableResponse: The response is a redirect, or compressed.
        """
        is_stream = options.get("stream", False)
        response: Response = super().send(request, **options | {"stream": True, "allow_redirects": False})
        if reason := _refusal(response):
            response.close()
            raise UnusableResponse(reason)
        if not is_stream:
            response.content  # noqa: B018  (reads it)
        return response

    def post_json(self, path: str, body: object) -> Any:  # the response is checked by its caller
        """Send a request that the SDK has no method for, and return its response as JSON."""
        return self._result(self._post_json(self._url(path), data=body), json=True)

    def task_log(self, task_id: str, lines: int) -> bytes:
        """Return the frames of the end of what a task of a swarm has written; the SDK reads services only."""
        params = {"stdout": 1, "stderr": 1, "tail": lines}
        content: bytes = self._result(
            self._get(self._url("/tasks/{0}/logs", task_id), params=params), binary=True
        )
        return content

    def exec_output(self, exec_id: str) -> Iterator[bytes]:
        """Start a program in a container that `exec_create` prepared; yield what it writes to both streams.

        The SDK's own method takes over the connection, past its bounds.
        """
        url = self._url("/exec/{0}/start", exec_id)
        with self._post_json(url, data={"Tty": False, "Detach": False}, stream=True) as response:
            self._raise_for_status(response)
            while len(header := response.raw.read(_FRAME_HEADER.size)) == _FRAME_HEADER.size:
                (left,) = _FRAME_HEADER.unpack(header)
                while left and (chunk := response.raw.read(min(left, _FRAME_CHUNK))):
                    yield chunk
                    left -= len(chunk)

    def _raise_for_status(self, response: Response) -> None:
        if response.status_code >= 400:
            reason = _reason(response.content)
            raise APIError(f"status {response.status_code}", response=response, explanation=reason)

    def _result(self, response: Response, json: bool = False, binary: bool = False) -> Any:
        self._raise_for_status(response)
        if json:
            return decode(response.content, object)
        return response.content if binary else response.content.decode(errors="replace")

    def _stream_helper(self, response: Response, decode: bool = False) -> Generator[bytes, None, None]:
        del decode  # `progress_items` does it
        with response:
            self._raise_for_status(response)
            yield from response.iter_content(None)


def decode(data: bytes, kind: type[T]) -> T:
    """Return data in JSON as a type.

    Raises:
        UnusableResponse: It is not JSON, or not of this type.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise UnusableResponse(f"it is not the expected JSON ({error})") from None


def progress_items(chunks: Generator[bytes, None, None]) -> Iterator[Progress]:
    """Yield every line of a streamed response, and close it.

    Raises:
        UnusableResponse: A line is too long, or not JSON.
    """
    unread = b""
    with closing(chunks):
        for chunk in chunks:
            *lines, unread = (unread + chunk).split(b"\n")
            yield from (decode(line, Progress) for line in lines if line.strip())
            if len(unread) > MAX_LINE:
                raise UnusableResponse("one of its lines is larger than 1 MiB")
    if unread.strip():
        yield decode(unread, Progress)


def _refusal(response: Response) -> str | None:
    if response.status_code < 200:
        return f"it has only a head (status {response.status_code})"
    if 300 <= response.status_code < 400:
        return f"it is a redirect (status {response.status_code})"
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        return "it is compressed, which was not asked for"
    return None


def _reason(body: bytes) -> str:
    try:
        return decode(body, Refusal).message[:_MAX_REASON]
    except UnusableResponse:
        return body[:_MAX_REASON].decode(errors="replace").strip()


class _Adapter(UnixHTTPAdapter):
    """One pool for all URLs; the SDK keeps one per URL and closes the oldest, even while it is in use."""

    def get_connection(self, url: str | bytes, proxies: Any = None) -> Any:
        del url, proxies
        with self.pools.lock:
            if _TO_ENGINE not in self.pools:
                self.pools[_TO_ENGINE] = _Pool(_TO_ENGINE, self.socket_path, self.timeout)
            return self.pools[_TO_ENGINE]


class _Pool(UnixHTTPConnectionPool):
    def _new_conn(self) -> Any:
        return _Connection(self.base_url, self.socket_path)


class BoundedRequests:
    """The part of a connection that bounds its socket anew for every request."""

    sock: Any  # has `Bounds`; the libraries declare it in their own ways
    limits = CALL

    def request(self, method: str, url: str, *args: Any, **options: Any) -> None:
        """Send a request, with the limits of its kind."""
        self.limits = JOB if _JOBS.match(url) else EXEC if _EXECS.match(url) else CALL
        if self.sock is not None:
            self.sock.bound(self.limits)
        super().request(method, url, *args, **options)  # type: ignore[misc]  # of the connection, which comes next

    def getresponse(self) -> Any:
        """Return the response, which must begin soon."""
        assert self.sock is not None
        self.sock.bound(self.limits._replace(total_s=HEAD_WITHIN_S))
        response = super().getresponse()  # type: ignore[misc]  # likewise
        if self.sock is not None:
            self.sock.bound(self.limits)
        return response


class _Connection(BoundedRequests, UnixHTTPConnection):
    """A connection to a Unix socket."""

    def connect(self) -> None:
        self.sock = BoundedSocket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.bound(self.limits)
        self.sock.connect(self.unix_socket)


class Bounds:
    """The part of a socket that limits how long it waits and how much it receives."""

    settimeout: Any  # the socket's own

    def bound(self, limits: Limits) -> None:
        """Begin to count anew."""
        self._limits = limits
        self._until_s = time.monotonic() + limits.total_s
        self._left = limits.max_bytes
        self.settimeout(limits.silence_s)

    def recv_into(self, *args: Any, **options: Any) -> int:
        """Receive at most what is left of both limits."""
        self._wait_at_most()
        received: int = super().recv_into(*args, **options)  # type: ignore[misc]  # of the socket, likewise
        self._left -= received
        if self._left < 0:
            raise UnusableResponse(f"it is larger than {self._limits.max_bytes // BYTES_PER_MIB} MiB")
        return received

    def sendall(self, *args: Any) -> None:
        """Send within the limit."""
        self._wait_at_most()
        super().sendall(*args)  # type: ignore[misc]  # likewise

    def _wait_at_most(self) -> None:
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise UnusableResponse(f"it does not end within {self._limits.total_s:g} s")
        self.settimeout(min(left_s, self._limits.silence_s))


class BoundedSocket(Bounds, socket.socket):
    """A socket on which waiting and receiving have limits."""
