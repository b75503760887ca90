"""When a health URL counts as ready, and how a failure is reported."""

from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise

import pytest
import trio

from runner.core.errors import StackFailed
from runner.stack import readiness
from runner.stack.ports import free_port
from runner.stack.readiness import wait_ready
from tests.servers.hostile_pages import hostile_pages

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"


@asynccontextmanager
async def responding(*responses: bytes):
    """Serve these responses in turn, repeating the last one; yield the URL and the list of requests."""
    requests: list[bytes] = []

    async def serve(stream):
        requests.append(await stream.receive_some(4096))
        response = responses[min(len(requests), len(responses)) - 1]
        if response == b"silence":
            await trio.sleep_forever()
        await stream.send_all(response)

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, host="127.0.0.1"), serve, 0)
        port = listener.socket.getsockname()[1]
        yield f"http://127.0.0.1:{port}/healthz", requests
        nursery.cancel_scope.cancel()


async def failure(url, **keywords) -> StackFailed:
    with pytest.raises(StackFailed) as raised:
        await wait_ready(url, **({"deadline_s": 0.4, "alive": lambda: None} | keywords))
    return raised.value


@pytest.mark.parametrize("status", [200, 204, 299])
async def test_any_2xx_is_ready(status):
    async with responding(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status) as (url, requests):
        await wait_ready(url, deadline_s=5, alive=lambda: None)

    assert requests[0].startswith(b"GET /healthz HTTP/1.1\r\n")


@pytest.mark.parametrize("status", [302, 404, 503])
async def test_other_statuses_are_not_ready(status):
    async with responding(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status) as (url, _):
        error = await failure(url)

    assert f"the last status was {status}" in error.message
    assert "health" in error.hint


async def test_probes_repeat_until_it_is_ready():
    async with responding(BUSY, b"rubbish", BUSY, OK) as (url, requests):
        await wait_ready(url, deadline_s=5, alive=lambda: None)

    assert len(requests) == 4


async def test_an_endless_body_is_not_waited_for():
    async with responding(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\nso far") as (url, _):
        with trio.fail_after(3):
            await wait_ready(url, deadline_s=5, alive=lambda: None)


@pytest.mark.parametrize(
    "page", ["informational-flood", "continue-flood", "slow-continue", "drip-head", "endless-head", "silent"]
)
async def test_a_head_without_end_is_not_waited_for(page, monkeypatch):
    monkeypatch.setattr(readiness, "_PROBE_TIMEOUT_S", 0.5)

    with hostile_pages() as url, trio.fail_after(20):
        error = await failure(f"{url}/{page}", deadline_s=1.5)

    assert "was not ready within 1.5 s" in error.message


async def test_a_death_is_reported_at_once_even_while_a_probe_waits():
    async with responding(b"silence") as (url, requests):
        with trio.fail_after(5):
            error = await failure(
                url,
                deadline_s=60,
                alive=lambda: "was killed by SIGKILL" if requests else None,
                last_output=lambda: ("bye",),
                name="the thing",
            )

    assert error.message == f"the thing was killed by SIGKILL before {url} responded"
    assert error.details == ("bye",)


async def test_a_response_that_is_not_http_is_reported():
    async with responding(b"220 mail.example ESMTP\r\n") as (url, _):
        error = await failure(url)

    assert "not HTTP" in error.message


async def test_a_port_without_listener_is_reported():
    error = await failure(f"http://127.0.0.1:{free_port()}/")

    assert "was not ready within 0.4 s" in error.message
    assert "nothing listens there" in error.message


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    async with responding(OK) as (url, _):
        await wait_ready(url, deadline_s=2, alive=lambda: None)


async def test_it_looks_at_fixed_intervals(autojump_clock):
    """Nothing listens, so virtual time passes only between the looks."""
    looks: list[float] = []

    def alive():
        looks.append(round(trio.current_time(), 3))
        return "died" if len(looks) == 5 else None

    await failure("http://127.0.0.1:1/", deadline_s=60, alive=alive)

    assert [round(b - a, 3) for a, b in pairwise(looks)] == [0.05] * 4
