"""A Docker Engine on a Unix socket whose every response can be replaced."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

Script = Callable[[socket.socket, threading.Event], None]

ID = "0123456789abcdef" * 4
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def whole(body: bytes, head: bytes = OK) -> Script:
    """Return a script that sends a complete response."""
    response = head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
    return lambda client, _: client.sendall(response)


def answer(value: Any) -> Script:
    return whole(json.dumps(value).encode())


def lines(*values: Any) -> Script:
    """Return a script that streams lines of JSON in chunks, as a build does."""
    texts = [json.dumps(value).encode() + b"\r\n" for value in values]
    body = b"".join(b"%x\r\n%s\r\n" % (len(text), text) for text in texts)
    return lambda client, _: client.sendall(CHUNKED + body + b"0\r\n\r\n")


def endless(begin: bytes, piece: bytes, pause_s: float = 0.0) -> Script:
    """Return a script that never stops sending."""

    def send(client: socket.socket, stopping: threading.Event) -> None:
        client.sendall(begin)
        while not (stopping.wait(pause_s) if pause_s else stopping.is_set()):
            client.sendall(piece)

    return send


STATE = {"Pid": 0, "Running": False, "ExitCode": 3, "OOMKilled": False}
DETAILS = {
    "State": STATE,
    "Config": {"Tty": True},
    "NetworkSettings": {"Networks": {}, "Ports": {}},
}
VERSION = {"Version": "27.0", "ApiVersion": "1.41", "Arch": "amd64"}
GOOD: Mapping[str, Script] = {
    "GET /version": answer(VERSION),
    "GET /info": answer({"SecurityOptions": ["name=seccomp"]}),
    "GET /containers/json": answer([]),
    "GET /networks": answer([]),
    "GET /volumes": answer({"Volumes": None}),
    "GET /images/": answer({"Id": f"sha256:{ID}", "RepoDigests": []}),
    "POST /images/create": lines({"status": "Pulling"}, {"error": "not found"}),
    "POST /build": lines({"stream": "Step 1/1"}, {"error": "no space"}),
    "POST /networks/create": answer({"Id": ID}),
    "POST /containers/create": answer({"Id": ID, "Warnings": []}),
    "POST /containers/": whole(b"", b"HTTP/1.1 204 No Content\r\n"),
    f"GET /containers/{ID}/json": answer(DETAILS),
    f"GET /containers/{ID}/logs": whole(b"the last line\n"),
}
"""Method and begin of the path, without the version; the longest that fits is used."""

DEEP = b"[" * 200_000
NO_RESPONSES: Mapping[str, Script] = {
    "text": whole(b"It works!"),
    "empty": whole(b""),
    "not-utf-8": whole(b'"\xff\xfe"'),
    "deep": whole(DEEP),
    "list-of-numbers": answer([1, 2]),
    "text-in-json": answer("ok"),
    "null": answer(None),
    "number": answer(3),
    "too-large-number": whole(b'{"State": {"Pid": 1e999}, "Id": 1e999, "ApiVersion": 1e999}'),
    "wrong-keys": answer({"Id": ["x"], "State": "yes", "ApiVersion": {}, "SecurityOptions": 7}),
    "bad-error": whole(b'{"message": [5]}', b"HTTP/1.1 500 Oops\r\n"),
    "error-is-a-list": whole(b"[5]", b"HTTP/1.1 404 Not Found\r\n"),
    "error-is-no-json": whole(b"\xff\xfe<html>", b"HTTP/1.1 502 Bad Gateway\r\n"),
    "redirect": whole(b"", b"HTTP/1.1 302 Found\r\nLocation: /v1.41/info\r\n"),
    "redirect-elsewhere": whole(b"", b"HTTP/1.1 307 X\r\nLocation: http://192.0.2.1/\r\n"),
    "gzip-bomb": whole(gzip.compress(bytes(50_000_000), 1), OK + b"Content-Encoding: gzip\r\n"),
    "endless": endless(OK + b"\r\n", b"[" * 65536),
    "endless-chunks": endless(CHUNKED, b"10000\r\n" + b"[" * 65536 + b"\r\n"),
    "endless-tiny-chunks": endless(CHUNKED, b"1\r\n[\r\n" * 500),
    "huge-chunk": lambda client, _: client.sendall(CHUNKED + b"ffffffffffff\r\n{"),
    "bad-chunk": lambda client, _: client.sendall(CHUNKED + b"zz\r\n{}"),
    "endless-head": endless(b"HTTP/1.1 200 OK\r\n", b"X-Pad: 1\r\n" * 100),
    "endless-header": endless(b"HTTP/1.1 200 OK\r\nX-Pad: ", b"x" * 65536),
    "continue-flood": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "hints-flood": endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100),
    "slow-continue": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.05),
    "drip": endless(OK + b"Content-Length: 100000\r\n\r\n", b"[", 0.05),
    "drip-head": endless(b"HTTP/1.1 200 OK\r\nX-Pad: ", b"x", 0.05),
    "silent": lambda _, stopping: stopping.wait(60) and None,
    "closed": lambda _client, _stopping: None,
    "half": lambda client, _: client.sendall(OK + b"Content-Length: 50\r\n\r\n{"),
    "no-http": lambda client, _: client.sendall(b"\x00\x01 hello\r\n\r\n"),
}


@contextlib.contextmanager
def false_engine(path: Path, changes: Mapping[str, Script] | None = None) -> Iterator[str]:
    """Serve `GOOD` with changes at a socket until the block ends; yields the value of DOCKER_HOST."""
    scripts = {**GOOD, **(changes or {})}
    stopping = threading.Event()
    threads: list[threading.Thread] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        acceptor = threading.Thread(target=_accept, args=(listener, scripts, stopping, threads))
        acceptor.start()
        try:
            yield f"unix://{path}"
        finally:
            stopping.set()
            listener.shutdown(socket.SHUT_RDWR)
            for thread in (acceptor, *threads):
                thread.join()


def _accept(
    listener: socket.socket,
    scripts: Mapping[str, Script],
    stopping: threading.Event,
    threads: list[threading.Thread],
) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            threads.append(threading.Thread(target=_serve, args=(client, scripts, stopping)))
            threads[-1].start()


def _serve(client: socket.socket, scripts: Mapping[str, Script], stopping: threading.Event) -> None:
    with client, contextlib.suppress(OSError):
        client.settimeout(10)
        received = b""
        while b"\r\n\r\n" not in received:
            if not (piece := client.recv(65536)):
                return
            received += piece
        method, target = received.split(b"\r\n")[0].decode().split()[:2]
        path = re.sub(r"^/v[0-9.]+(?=/)", "", target)
        fitting = [key for key in scripts if f"{method} {path}".startswith(key)]
        script = scripts[max(fitting, key=len)] if fitting else whole(b"{}", b"HTTP/1.1 404 No\r\n")
        script(client, stopping)
        client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(TimeoutError):
            client.settimeout(0.2)
            while client.recv(65536):  # what the runner still sends, so that it gets no reset
                pass
