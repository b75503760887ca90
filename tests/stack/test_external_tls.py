"""A rejected certificate ends the experiment before any load, and the message says why."""

import shutil
import socket
import ssl
import subprocess

import pytest
import trustme

from runner.core.endpoint import Tls
from runner.core.errors import EnvironmentLacks
from runner.experiment.external_topology import ExternalTopology
from runner.stack.external import open_external
from runner.stack.ports import free_port
from tests.servers.certificates import Authority, self_signed
from tests.servers.scripted import scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def hello(client, _request):
    client.sendall(OK)


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def ca_file(authority, tmp_path):
    return authority.file(tmp_path)


def topology(port, *, host="localhost", health=None, **tls) -> ExternalTopology:
    return ExternalTopology(kind="external", url=f"https://{host}:{port}/api", health=health, tls=tls or None)


async def refusal(spec, ctx) -> EnvironmentLacks:
    with pytest.raises(EnvironmentLacks) as raised:
        async with open_external(spec, ctx):
            pytest.fail("it was accepted")
    return raised.value


async def test_a_certificate_signed_by_the_configured_authority_is_accepted(ctx, authority, ca_file):
    with scripted(hello, tls=authority.context("localhost")) as port:
        async with open_external(topology(port, health="/ok", ca_file=ca_file), ctx) as stack:
            assert stack.endpoint.scheme == "https"
            assert stack.endpoint.base_path == "/api"
            assert stack.endpoint.tls == Tls("localhost", ca_file)
            assert stack.description.certificate == "checked"


async def test_ca_file_is_relative_to_the_specification(ctx, authority, ca_file):
    beside = type(ctx)(ctx.run_id, ctx.name, ctx.scratch, ctx.scratch, ctx.guard, ctx.say)
    with scripted(hello, tls=authority.context("127.0.0.1")) as port:
        spec = topology(port, host="127.0.0.1", ca_file="ca.pem")
        async with open_external(spec, beside) as stack:
            assert stack.endpoint.tls.ca_file == ca_file


REFUSED = {
    "expired": (lambda of: of.context("localhost", expired=True), "the certificate of localhost has expired"),
    "another name": (lambda of: of.context("a.test"), "the certificate of localhost is for another name"),
    "another authority": (
        lambda _: Authority().context("localhost"),
        "the certificate of localhost is signed by an authority that is not trusted",
    ),
    "its own": (lambda _: self_signed(), "the certificate of localhost is self-signed"),
}


@pytest.mark.parametrize(("context", "reason"), REFUSED.values(), ids=REFUSED)
async def test_a_rejected_certificate_is_explained(ctx, authority, ca_file, context, reason):
    with scripted(hello, tls=context(authority)) as port:
        error = await refusal(topology(port, ca_file=ca_file, health="/"), ctx)

        assert error.message == f"https://localhost:{port}/api cannot be used: {reason}"
        assert "topology.tls.insecure: true" in error.hint

        async with open_external(topology(port, insecure=True, health="/"), ctx) as stack:
            assert stack.description.certificate == "not checked"


async def test_without_ca_file_the_systems_authorities_apply(ctx, authority):
    with scripted(hello, tls=authority.context("localhost")) as port:
        error = await refusal(topology(port), ctx)

    assert "signed by an authority that is not trusted" in error.message
    assert "topology.tls.ca_file" in error.hint


async def test_a_server_without_tls_is_reported(ctx):
    def plain(client, _request):
        client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    class Blunt:
        """Responds to a handshake in plain HTTP."""

        def wrap_socket(self, client, **_):
            client.recv(4096)
            client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            return client

    with scripted(plain, tls=Blunt()) as port:
        error = await refusal(topology(port), ctx)

    assert error.message.endswith("the response of localhost is not TLS")
    assert "use http://" in error.hint


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl plays the server here")
async def test_a_server_with_http2_only_is_reported(ctx, authority, tmp_path):
    certificate = trustme.CA().issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "pem")
    port = free_port()
    command = [
        "openssl",
        "s_server",
        "-accept",
        f"127.0.0.1:{port}",
        "-alpn",
        "h2",
        "-cert",
        tmp_path / "pem",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as server:
        for line in server.stdout:
            if b"ACCEPT" in line:
                break
        error = await refusal(topology(port, host="localhost", insecure=True), ctx)
        server.kill()

    assert "localhost does not support HTTP/1.1" in error.message
    assert "HTTP/2 is not" in error.hint


async def test_a_server_that_closes_during_the_handshake_is_reported(ctx):
    class Gone:
        """Closes the connection during the handshake."""

        def wrap_socket(self, client, **_):
            client.recv(4096)
            raise ssl.SSLError

    with scripted(hello, tls=Gone()) as port:
        error = await refusal(topology(port), ctx)

    assert error.message.endswith("localhost closed the connection during the TLS handshake")


async def test_a_handshake_that_never_finishes_is_reported(ctx, monkeypatch):
    monkeypatch.setattr("runner.stack.external_probe.WITHIN_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = await refusal(topology(silent.getsockname()[1], host="127.0.0.1"), ctx)

    assert "does not finish the TLS handshake within 0.2 s" in error.message


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "cannot be read: No such file"), ("not PEM", "contains no PEM certificates")],
)
async def test_an_unusable_ca_file_is_reported(ctx, tmp_path, content, reason):
    path = tmp_path / "ca.pem"
    if content:
        path.write_text(content)

    error = await refusal(topology(1, ca_file=str(path)), ctx)

    assert error.message.startswith(f"topology.tls.ca_file: {path} {reason}")
