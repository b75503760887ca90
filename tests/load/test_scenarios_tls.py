"""Scenarios over HTTPS, and redirects between HTTP and HTTPS."""

from collections import Counter

import pytest

from runner.core.endpoint import Tls
from tests.load.scenario_stage import Server, Steps, offered, to
from tests.servers.scripted import scripted


@pytest.fixture
def tls(test_authority, tmp_path):
    """Settings of a client, and the context of its server."""
    return Tls("127.0.0.1", test_authority.file(tmp_path)), test_authority.context("127.0.0.1")


def test_users_keep_secure_cookies_over_https(tls):
    client, context = tls
    server = Server({"/a": to("/b", "Set-Cookie: sid=1; Secure")})
    steps = Steps()
    with scripted(server, tls=context) as port:
        made = [steps.send("/a", follow=1), steps.send("/c")]
        outcome = offered(port, made, steps, scheme="https", tls=client, rate=20.0)
    cookies = Counter((target, headers.get("cookie")) for _, target, headers, _ in server.log)
    assert cookies == {("/a", None): 2, ("/b", "sid=1"): 2, ("/c", "sid=1"): 2}
    assert outcome.whole["succeeded"] == 6
    assert sum(second.tls.count for second in outcome.seconds) >= 1


def test_redirects_lead_from_http_to_https_and_back(tls, monkeypatch):
    client, context = tls
    monkeypatch.setenv("SSL_CERT_FILE", client.ca_file)
    plain, secure = Server(), Server()
    steps = Steps()
    with scripted(plain) as port, scripted(secure, tls=context) as secure_port:
        plain.answers["/a"] = to(f"https://127.0.0.1:{secure_port}/b")
        secure.answers["/b"] = to(f"http://127.0.0.1:{port}/c")
        outcome = offered(port, [steps.send("/a", follow=2)], steps, rate=10.0)
    assert (plain.received(), secure.received()) == (["GET /a", "GET /c"], ["GET /b"])
    assert outcome.users["visit"]["succeeded"] == 1


def test_an_untrusted_certificate_on_the_way_fails(tls):
    _, context = tls
    plain = Server()
    steps = Steps()
    with scripted(plain) as port, scripted(Server(), tls=context) as secure_port:
        plain.answers["/a"] = to(f"https://127.0.0.1:{secure_port}/b")
        outcome = offered(port, [steps.send("/a", follow=2)], steps, rate=10.0)
    assert outcome.users["visit"]["failed"] == {"protocol": 1}
