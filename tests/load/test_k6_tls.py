"""k6 over TLS: it accepts the same certificates as the built-in engine and uses HTTP/1.1."""

from dataclasses import replace

import pytest

from runner.core.endpoint import Endpoint, Tls
from tests.load.k6_stage import Run, offer, order
from tests.servers.certificates import Authority
from tests.servers.scripted import scripted

pytestmark = pytest.mark.k6

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


async def run_k6(tls, *, name="app.test", names=("app.test",), authority=None):
    """One stage against a name that only the pinned address resolves."""
    requests = []
    context = (authority or Authority()).context(*names)
    context.set_alpn_protocols(["h2", "http/1.1"])

    def script(client, request):
        requests.append((client.selected_alpn_protocol(), request))
        client.sendall(OK)

    run = Run()
    with scripted(script, tls=context) as port:
        endpoint = Endpoint(name, port, "https", address="127.0.0.1", tls=tls)
        await offer(replace(order(port, rps=20, connection="new"), endpoint=endpoint), run=run)
    return run, requests


async def test_a_configured_authority_is_trusted_and_http_1_is_used(tmp_path):
    authority = Authority()

    run, requests = await run_k6(Tls("app.test", authority.file(tmp_path)), authority=authority)

    assert (run.total("succeeded"), run.failures) == (20, {})
    assert {protocol for protocol, _ in requests} <= {None, "http/1.1"}
    assert all(b" HTTP/1.1\r\n" in request for _, request in requests)
    stated = run.facts.stated_ms
    assert stated["tls"]["p50"] > 0
    assert 0 <= stated["connect"]["p50"] < stated["tls"]["max"]


async def test_insecure_accepts_any_certificate():
    run, _ = await run_k6(Tls("app.test", insecure=True), names=("other.test",))

    assert run.total("succeeded") == 20


async def test_an_untrusted_certificate_fails():
    run, requests = await run_k6(Tls("app.test"))

    assert run.failures == {"protocol": 20}
    assert requests == []
