"""An external service over TLS."""

import json

import pytest

from tests.servers.certificates import Authority, self_signed
from tests.servers.scripted import scripted


def hello(client, _request):
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


def stage_and_report(cli, port, **changes):
    topology = {"kind": "external", "url": f"https://localhost:{port}", "health": "/", **changes}
    load = {"connection": "new", "request": {"path": "/"}, "timeout": "1s"}
    done = cli("execute", cli.write(topology=topology, load=load), "--out", "run")
    assert done.returncode == 0, done.stderr
    configuration = json.loads((cli.folder / "run" / "results.json").read_text())["configurations"][0]
    return configuration["stages"][0], (cli.folder / "run" / "report.md").read_text()


def test_a_certificate_of_ones_own_authority_is_checked(cli):
    authority = Authority()
    authority.file(cli.folder)

    with scripted(hello, tls=authority.context("localhost")) as port:
        stage, report = stage_and_report(cli, port, tls={"ca_file": "ca.pem"})

    assert stage["requests"]["succeeded"] == 50
    assert stage["tls_ms"]["p50"] > 0
    assert "p95 TLS Handshake (ms)" in report
    assert "not verified" not in report


def test_an_unchecked_certificate_is_in_the_report(cli):
    with scripted(hello, tls=self_signed()) as port:
        stage, report = stage_and_report(cli, port, tls={"insecure": True})

    assert stage["requests"]["succeeded"] == 50
    assert f"`https://localhost:{port}` (certificate not verified)" in report
    assert "> **The server’s certificate was not verified**" in report


@pytest.mark.parametrize("engine", ["builtin", "k6"])
def test_a_certificate_that_is_not_trusted_ends_it_before_any_load(cli, engine):
    with scripted(hello, tls=self_signed()) as port:
        topology = {"kind": "external", "url": f"https://localhost:{port}"}
        done = cli("execute", cli.write(topology=topology, load={"engine": engine}))

    assert done.returncode == 3
    assert "the certificate of localhost is self-signed" in done.stderr
    assert "topology.tls.ca_file" in done.stderr
