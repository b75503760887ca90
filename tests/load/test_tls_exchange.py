"""The generator over TLS, against servers with certificates of a test authority."""

import contextlib
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time

import pytest
import trustme

from runner.core import histogram
from runner.core.endpoint import Tls
from runner.stack.ports import free_port
from tests.servers.certificates import Authority
from tests.servers.scripted import in_one_segment, scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
HELLO = {"status": [200], "body_contains": "hello"}
VERSIONS = {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture(scope="module")
def tls(authority, tmp_path_factory):
    return Tls("127.0.0.1", authority.file(tmp_path_factory.mktemp("ca")))


@pytest.fixture(params=VERSIONS.values(), ids=VERSIONS)
def server(request, authority):
    context = authority.context("127.0.0.1")
    context.minimum_version = context.maximum_version = request.param
    return context


def send_close_notify(client: ssl.SSLSocket) -> None:
    """Send close_notify and wait for nothing."""
    client.setblocking(False)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.unwrap()


def responds(*pieces: bytes, pause: float = 0.0, notify: bool = False, close: bool = False):
    def script(client: socket.socket, _: bytes) -> None:
        # a request that comes between the response and the end may have been handled
        with in_one_segment(client) if (notify or close) and not pause else contextlib.nullcontext():
            for piece in pieces:
                client.sendall(piece)
                time.sleep(pause)
            if notify:
                send_close_notify(client)
            if close:
                client.shutdown(socket.SHUT_RDWR)

    return script


def in_one_packet(client: ssl.SSLSocket, _: bytes) -> None:
    """Send response and close_notify together, and leave TCP open."""
    with in_one_segment(client):
        client.sendall(UNTIL_CLOSE)
        send_close_notify(client)
    time.sleep(2)


UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"
BIG = [b"HTTP/1.1 200 OK\r\nContent-Length: 1000005\r\n\r\n", b"x" * 1_000_000, b"hello"]
GOOD = {
    "a plain response": responds(OK),
    "a record for each byte": responds(*[OK[i : i + 1] for i in range(len(OK))]),
    "over many records": responds(*BIG),
    "many records and close_notify": responds(*BIG, notify=True, close=True),
    "close_notify after the response": responds(OK, notify=True),
    "close_notify, then closed": responds(OK, notify=True, close=True),
    "ended by close_notify alone": responds(UNTIL_CLOSE, notify=True),
    "ended by close_notify a moment later": responds(UNTIL_CLOSE, pause=0.05, notify=True),
    "ended by close_notify in the same packet": in_one_packet,
    "closed without close_notify, but complete": responds(OK, close=True),
}


@pytest.mark.parametrize("script", GOOD.values(), ids=GOOD)
async def test_every_form_of_a_successful_response_is_a_success(run_load, server, tls, script):
    connection = "new" if server.maximum_version == ssl.TLSVersion.TLSv1_3 else "keep-alive"
    with scripted(script, tls=server) as port:
        offered = await run_load(port, tls=tls, connection=connection, expect=HELLO, timeout="30s")

    assert offered.failures == {}
    assert offered.succeeded == 20


FAULTS = {
    "closed before the response": (responds(close=True), "closed_early"),
    "close_notify instead of a response": (responds(notify=True), "closed_early"),
    "truncated": (responds(OK[:-2], close=True), "closed_early"),
    "truncated, with close_notify": (responds(OK[:-2], notify=True), "closed_early"),
    "ended by the connection, without close_notify": (responds(UNTIL_CLOSE, close=True), "closed_early"),
    "not HTTP": (responds(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "protocol"),
    "no response": (responds(), "timeout"),
}


@pytest.mark.parametrize(("script", "kind"), FAULTS.values(), ids=FAULTS)
async def test_every_fault_has_its_kind(run_load, server, tls, script, kind):
    timeout = "2s" if kind == "timeout" else "30s"  # the handshakes of a busy machine take a while
    with scripted(script, tls=server) as port:
        offered = await run_load(port, tls=tls, connection="new", timeout=timeout)

    assert offered.failures == {kind: 20}


def raw(*pieces: bytes, reset: bool = False):
    """Return a script that responds to a ClientHello with bytes that are not TLS."""

    def script(client: socket.socket, _: bytes) -> None:
        for piece in pieces:
            client.sendall(piece)
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            client.shutdown(socket.SHUT_WR)

    return script


@contextlib.contextmanager
def without_tls(script):
    """Call `script` for every connection as soon as anything is received."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client, contextlib.suppress(OSError):
                    client.recv(65536)
                    script(client, b"")

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


BROKEN = {
    "plain HTTP": (raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "protocol"),
    "closed": (raw(), "closed_early"),
    "reset": (raw(reset=True), "reset"),
}


@pytest.mark.parametrize(("script", "kind"), BROKEN.values(), ids=BROKEN)
async def test_a_handshake_that_fails_has_its_kind(run_load, tls, script, kind):
    with without_tls(script) as port:
        offered = await run_load(port, tls=tls, connection="new", timeout="30s")

    assert offered.failures == {kind: 20}


async def test_a_handshake_without_a_response_is_a_connect_timeout(run_load, tls):
    with socket.create_server(("127.0.0.1", 0), backlog=512) as silent:
        offered = await run_load(silent.getsockname()[1], tls=tls, connection="new", timeout="0.2s")

    assert offered.failures == {"connect_timeout": 20}


async def test_a_port_without_a_listener_is_a_refused_connection(run_load, tls):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    offered = await run_load(port, tls=tls, connection="new")

    assert offered.failures == {"connect_refused": 20}


async def test_with_an_untrusted_certificate_every_request_fails(run_load, server):
    with scripted(responds(OK), tls=server) as port:
        refused = await run_load(port, tls=Tls("127.0.0.1"), connection="new")
        accepted = await run_load(port, tls=Tls("127.0.0.1", insecure=True), connection="new")

    assert refused.failures == {"protocol": 20}
    assert accepted.succeeded == 20


async def test_a_server_of_http2_alone_is_a_protocol_failure(run_load, authority, tls):
    context = authority.context("127.0.0.1")
    context.set_alpn_protocols(["h2"])  # OpenSSL's server goes on without a protocol where none fits
    with scripted(responds(b"\0\0\x12\4\0\0\0\0\0" + bytes(18)), tls=context) as port:
        offered = await run_load(port, tls=tls, connection="new")

    assert offered.failures == {"protocol": 20}


async def test_the_server_receives_the_name_and_only_http_1(run_load, authority, tmp_path):
    received = set()
    context = authority.context("app.test")
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.sni_callback = lambda _sock, name, _context: received.add(name)

    def script(client, _request):
        received.add(client.selected_alpn_protocol())
        client.sendall(OK)

    with scripted(script, tls=context) as port:
        offered = await run_load(port, tls=Tls("app.test", authority.file(tmp_path)))

    assert offered.succeeded == 20
    assert received == {"app.test", "http/1.1"}


async def test_tls_time_is_separate_and_in_neither_connect_nor_duration(run_load, authority, tls):
    context = authority.context("127.0.0.1")
    context.sni_callback = lambda *_: time.sleep(0.05)
    with scripted(responds(OK), tls=context) as port:
        offered = await run_load(port, tls=tls, connection="new", rps=25, duration=0.4)

    merged = {
        name: histogram.merge(getattr(second, name) for second in offered.seconds)
        for name in ("connect", "tls", "duration", "response_time")
    }
    assert [merged[name].count for name in merged] == [10, 10, 10, 10]
    assert merged["tls"].percentiles_ms([1.0])[0] >= 49
    assert merged["connect"].percentiles_ms([50.0])[0] < 40
    assert merged["duration"].percentiles_ms([50.0])[0] < 40
    assert merged["response_time"].percentiles_ms([50.0])[0] >= 49


async def test_a_keep_alive_connection_has_one_handshake(run_load, server, tls):
    with scripted(responds(OK), tls=server) as port:
        offered = await run_load(port, tls=tls, rps=100, max_in_flight=1, when_full="queue")

    handshakes = histogram.merge(second.tls for second in offered.seconds)
    assert (offered.succeeded, handshakes.count) == (20, 1)


async def test_no_session_is_resumed(run_load, server, tls):
    reused = []

    def script(client, _request):
        reused.append(client.session_reused)
        client.sendall(OK)

    with scripted(script, tls=server) as port:
        await run_load(port, tls=tls, connection="new")

    assert reused == [False] * 20


async def test_a_large_request_is_encrypted_and_sent_in_pieces(run_load, server, tls):
    body = "a" * 16_000_000  # more than the kernel's buffers hold
    seen = []

    def script(client, request):
        seen.append(len(request.partition(b"\r\n\r\n")[2]))
        client.sendall(OK)

    with scripted(script, tls=server) as port:
        offered = await run_load(
            port,
            tls=tls,
            rps=5,
            duration=0.2,
            timeout="30s",
            request={"method": "POST", "path": "/", "body": body},
        )

    assert offered.failures == {}
    assert seen == [len(body)]


async def test_a_message_of_tls_is_no_response_and_ends_no_connection(run_load, authority, tls):
    """Session tickets and key updates also arrive between responses."""
    context = authority.context("127.0.0.1")
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 8
    with scripted(responds(OK), tls=context) as port:
        offered = await run_load(port, tls=tls, rps=50, max_in_flight=1, when_full="queue")

    assert offered.failures == {}
    assert histogram.merge(second.tls for second in offered.seconds).count == 1


@contextlib.contextmanager
def rekeying(folder):
    """A server that updates its keys after every response, while the connection is idle."""
    trustme.CA().issue_cert("a.test").private_key_and_cert_chain_pem.write_to_path(folder / "pem")
    port = free_port()
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-tls1_3", "-cert", folder / "pem"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
    ) as server:

        def respond() -> None:
            for line in server.stdout:
                if line.startswith(b"GET "):
                    server.stdin.write(OK)
                    time.sleep(0.1)
                    server.stdin.write(b"K\n")

        assert any(b"ACCEPT" in line for line in server.stdout)
        thread = threading.Thread(target=respond)
        thread.start()
        yield port
        server.kill()
        thread.join(5)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is the server here")
async def test_new_keys_are_accepted_while_a_connection_is_idle(run_load, tmp_path):
    with rekeying(tmp_path) as port:
        offered = await run_load(port, tls=Tls("a.test", insecure=True), rps=5, duration=0.8, timeout="1s")

    assert offered.failures == {}
    assert histogram.merge(second.tls for second in offered.seconds).count == 1


async def test_responses_keep_the_kernels_timestamps(run_load, server, tls):
    with scripted(responds(OK), tls=server) as port:
        offered = await run_load(port, tls=tls)

    assert offered.facts.clock.startswith(
        "the kernel timestamps responses when they arrive (SO_TIMESTAMPNS); everything else"
    )
