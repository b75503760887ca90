"""A registry on loopback that takes an image, or is silent, drips, lies, fails or leads elsewhere."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
NOWHERE = "http://127.0.0.1:1/elsewhere"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def _handle(self) -> None:
        with suppress(OSError):  # the engine may have given up
            content = self._content()
            getattr(self, f"_{self.server.fault}", self._take)(content)

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = _handle  # noqa: N815  (names of the base class)

    def _content(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in ({"Content-Length": str(len(body))} | names).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _silent(self, _content: bytes) -> None:
        self.server.ended.wait()
        self.close_connection = True

    def _dripping(self, _content: bytes) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not self.server.ended.wait(0.2):
            self.wfile.write(b"X-More: to come\r\n")
        self.close_connection = True

    def _failing(self, content: bytes) -> None:
        if self.path == "/v2/":
            self._take(content)
        else:
            self._answer(500)

    def _elsewhere(self, _content: bytes) -> None:
        self._answer(307, Location=NOWHERE)

    def _without_token(self, content: bytes) -> None:
        if self.path.startswith("/token"):
            self._silent(content)
        realm = f'Bearer realm="http://{self.headers["Host"]}/token",service="registry"'
        self._answer(401, WWW_Authenticate=realm)

    def _take(self, content: bytes) -> None:
        """Take what is pushed; a lying registry has another manifest then, as if somebody else pushed it."""
        url, kept = urlsplit(self.path), self.server.kept
        _, _, last = url.path.rpartition("/")
        upload = f"http://{self.headers['Host']}/v2/load/small/blobs/uploads/1"
        if self.path == "/v2/":
            self._answer(200)
        elif self.command in ("POST", "PATCH"):
            kept[upload] = kept.get(upload, b"") + content
            self._answer(202, Location=upload, Docker_Upload_UUID="1", Range=f"0-{len(content)}")
        elif "/blobs/" in url.path and self.command == "PUT":
            (digest,) = parse_qs(url.query)["digest"]
            kept[digest] = kept.pop(upload, b"")
            self._answer(201, Docker_Content_Digest=digest, Location=url.path)
        elif self.command == "PUT":
            manifest = content + (b" " if self.server.fault == "lying" else b"")
            kept[last] = kept[_digest(manifest)] = manifest
            self._answer(201, Docker_Content_Digest=_digest(content), Location=url.path)
        elif last in kept:
            self._answer(200, kept[last], Content_Type=MANIFEST, Docker_Content_Digest=_digest(kept[last]))
        else:
            self._answer(404)


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@contextmanager
def registry(fault: str) -> Iterator[str]:
    """Provide the address of a registry with a fault."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads, server.fault, server.kept = True, fault, {}
    server.ended = threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()
