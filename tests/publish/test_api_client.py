"""What an API sends is bounded, whatever it is."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from runner.core.errors import PublishFailed
from runner.publish import api_client
from runner.publish.api_client import ApiClient


class Responds(BaseHTTPRequestHandler):
    """Sends its server's pieces until the client has had enough."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            for piece in self.server.pieces():
                self.wfile.write(piece)
        except OSError:
            pass

    def log_message(self, *_args) -> None:
        """Stay silent."""


@pytest.fixture
def api():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Responds)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def call(server):
    client = ApiClient(f"http://127.0.0.1:{server.server_port}", "secret", {})
    return client.call("GET", "/")


def test_an_endless_body_is_refused(api):
    def endless():
        while True:
            yield bytes(1024 * 1024)

    api.pieces = endless
    with pytest.raises(PublishFailed, match="more than 16 MiB"):
        call(api)


def test_a_body_that_takes_for_ever_is_refused(api, monkeypatch):
    monkeypatch.setattr(api_client, "_WHOLE_S", -1.0)
    api.pieces = lambda: [b"{}", b" "]
    with pytest.raises(PublishFailed, match="for more than"):
        call(api)


@pytest.mark.parametrize("body", [b"[" * 200_000, b"no JSON", b"\xff"])
def test_a_body_that_is_no_json_is_none(api, body):
    api.pieces = lambda: [body]

    assert call(api).data is None
