"""The exchange of scenarios in Python and its compiled twin follow redirects and URLs in the same way."""

import os
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.endpoint import Tls
from runner.load.checks import CheckOrder
from runner.load.scenario_exchange import ScenarioExchange
from runner.load.scenario_loop import scenario_exchange
from runner.load.scenario_order import ExtractOrder
from runner.load.scenario_tls import mixed_exchange
from tests.load.scenario_stage import Steps, to
from tests.load.test_both_exchanges import BEHAVIOURS, sends
from tests.load.test_both_scenario_exchanges import compared


def redirects(location: str, *headers: str, status: str = "302 Found", body: str = "", closes: bool = False):
    def behave(client) -> None:
        port = client.getsockname()[1]
        client.sendall(to(location.replace("PORT", str(port)), *headers, status=status, body=body))
        if closes:
            client.shutdown(socket.SHUT_RDWR)

    return behave


REDIRECTS = {
    "302 with a cookie": redirects("/s/next?code=1", "Set-Cookie: sid=2; Path=/"),
    "302 with a cookie that has expired": redirects("/s/next", "Set-Cookie: sid=0; Max-Age=0"),
    "301": redirects("http://127.0.0.1:PORT/absolute", status="301 Moved Permanently"),
    "302 with a body": redirects("relative/../other", "Content-Type: text/html", body="<a href='/x'>x</a>"),
    "303": redirects("?only=query", status="303 See Other"),
    "307": redirects("//127.0.0.1:PORT/no/scheme", status="307 Temporary Redirect"),
    "308 to an allowed host": redirects("http://Other.example:PORT/there", status="308 Permanent Redirect"),
    "302 to an allowed host with a cookie": redirects("http://other.example:PORT/", "Set-Cookie: far=1"),
    "302 to the same URL": redirects(""),
    "302 that closes": redirects("/s/closed", "Connection: close", closes=True),
    "302 to a host that is not allowed": redirects("http://evil.example/"),
    "302 to TLS that does not listen": redirects("https://127.0.0.1:1/"),
    "302 to a port that does not listen": redirects("http://127.0.0.1:1/"),
    "302 to no URL": redirects("http://[::1"),
    "302 to another scheme": redirects("ftp://127.0.0.1/"),
    "302 to Latin": redirects("/K\u00f6ln?\u00e9=1 2#part"),
    "302 without a Location": sends(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"),
    "302 in chunks": sends(
        b"HTTP/1.1 302 Found\r\nLocation: /s/chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "302 in pieces": sends(
        b"HTTP/1.1 302 Found\r\nLocat", b"ion: /s/p\r\nContent-Length: 0\r\n\r\n", pause=0.003
    ),
    "302 behind an interim response": sends(
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 302 Found\r\nLocation: /s/1\r\nContent-Length: 0\r\n\r\n"
    ),
    "300": redirects("/s/choices", status="300 Multiple Choices"),
}
ORDINARY = ["token", "cookie", "whole", "no HTTP", "reset", "closes", "wrong status", "chunked"]


def log_in(steps: Steps):
    """Log in by redirects, follow a URL out of a response, and accept one redirect as it is."""
    token = ExtractOrder("token", json="$.token", optional=True, default=("none",))
    found = ExtractOrder("to", header="Location", optional=True, default=("s/default?x=1",))
    secret = "Authorization: Bearer ${token:header}\r\n"
    return (
        steps.send("/login", token, method="POST", body="user=guest", follow=3),
        steps.send("/s/${token:path}", headers=secret, follow=1),
        steps.send("/s/own", method="PUT", body="x", headers="Cookie: own=1\r\n", own_cookies=True, follow=2),
        steps.send("/s/found", found, checks=CheckOrder(statuses=(200, 302, 303, 307))),
        steps.send("${to:url}", method="PATCH", body="{}", headers=secret, url=True, follow=1),
        steps.send("/home"),
    )


@pytest.fixture(scope="module")
def mixed():
    """The exchanges of scenarios that may lead to a server with TLS."""
    compiled = scenario_exchange()
    if compiled is ScenarioExchange:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("runner.load.fastscenarios was not built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", os.devnull)  # to read the system's would take longest
        yield [
            lambda *args, kind=kind: mixed_exchange(kind)(*args, Tls(""))
            for kind in (ScenarioExchange, compiled)
        ]


def met(mixed, behaviours, users, **changes):
    return compared(mixed, behaviours, users, steps_of=log_in, known=BEHAVIOURS | REDIRECTS, **changes)


@settings(max_examples=25, deadline=None)
@given(
    behaviours=st.lists(
        st.one_of(st.sampled_from(sorted(REDIRECTS)), st.sampled_from(ORDINARY)), min_size=1, max_size=12
    ),
    new=st.booleans(),
)
def test_users_meet_any_redirects(mixed, behaviours, new):
    counted = met(mixed, behaviours, 2, new_connections=new)
    last = max(key[0] for key in counted if isinstance(key, tuple))
    ended = counted[last, "succeeded"] + sum(counted[last, "failures"].values())
    assert (counted[last, "sent"], counted[last, "dropped"], ended) == (2, 1, 2)


@pytest.mark.parametrize("behaviour", sorted(REDIRECTS))
def test_every_step_meets_the_same_redirect(mixed, behaviour):
    met(mixed, [behaviour], 2)


@pytest.mark.parametrize("behaviour", sorted(REDIRECTS))
def test_a_redirect_leads_to_an_ordinary_response(mixed, behaviour):
    met(mixed, [behaviour, "cookie", behaviour, "token"], 2)


def test_users_who_log_in_by_redirects_succeed_with_their_cookies(mixed):
    logs_in = ["302 with a cookie", "303", "token"]
    counted = met(mixed, [*logs_in, "whole", "cookie", "303", "whole", "cookie"], 3)
    last = max(key[0] for key in counted if isinstance(key, tuple))
    assert (counted[last, "succeeded"], counted["opened"]) == (3, 1)
