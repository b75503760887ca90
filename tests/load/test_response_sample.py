"""Statuses of refused requests are counted one by one, and the first response of each kind is kept."""

import collections
import gzip
import itertools
import zlib

import pytest

from runner.core.load_facts import MAX_SAMPLE
from runner.load.response_sample import MAX_SAMPLES, MAX_STATUSES, OTHER_STATUSES, response_sample
from tests.servers.scripted import scripted


def response(status: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def in_turn(*responses: bytes):
    """Send the responses in turn, whichever connection asks."""
    rest = itertools.cycle(responses)

    def script(client, _request) -> None:
        client.sendall(next(rest))

    return script


def statuses_of(offered) -> dict[int, int]:
    counts: dict[int, int] = {}
    for second in offered.seconds:
        for status, count in second.statuses.items():
            counts[status] = counts.get(status, 0) + count
    return counts


def samples_of(offered):
    """All samples by status; responses may arrive in another order than they were sent."""
    samples = [sample for second in offered.seconds for sample in second.samples]
    return sorted(samples, key=lambda sample: sample.status)


REDIRECT = response("302 Found", "Location: https://example.com/login")
BUSY = response("429 Too Many Requests", "Retry-After: 7", "Set-Cookie: session=1", body=b"slow down")
BROKEN = response("500 Oops", "Content-Type: text/plain", body=b"first line\n\tsecond \x1b[31mline")


async def test_each_status_is_counted_and_its_first_response_kept(run_load, way):
    script = in_turn(REDIRECT, BUSY, response("200 OK"), BROKEN)
    with scripted(script, tls=way.server) as port:
        offered = await run_load(port, tls=way.tls, rps=100, duration=0.8)

    assert offered.failures == {"bad_status": 60}
    assert statuses_of(offered) == {302: 20, 429: 20, 500: 20}
    assert [(sample.failure, sample.status) for sample in samples_of(offered)] == [
        ("bad_status", 302),
        ("bad_status", 429),
        ("bad_status", 500),
    ]
    redirect, busy, broken = samples_of(offered)
    assert (redirect.headers, redirect.body) == ((("location", "https://example.com/login"),), "")
    assert (busy.headers, busy.body) == ((("retry-after", "7"),), "slow down")
    assert broken.headers == (("content-type", "text/plain"),)
    assert broken.body == "first line\n\tsecond \x1b[31mline"


async def test_accepted_statuses_are_not_counted(run_load, way):
    with scripted(in_turn(REDIRECT, BUSY), tls=way.server) as port:
        offered = await run_load(port, tls=way.tls, rps=100, duration=0.4, expect={"status": [200, 302]})

    assert (offered.succeeded, statuses_of(offered)) == (20, {429: 20})


async def test_a_response_in_pieces_has_the_same_sample(run_load, way):
    def script(client, _request) -> None:
        for at in range(len(BUSY)):
            client.sendall(BUSY[at : at + 1])

    with scripted(script, tls=way.server) as port:
        offered = await run_load(port, tls=way.tls, rps=20, duration=0.2)

    assert statuses_of(offered) == {429: 4}
    assert samples_of(offered) == [response_sample("bad_status", 429, BUSY)]


@pytest.mark.parametrize(
    ("sent", "failure", "status", "body"),
    [
        (response("200 OK", body=b"down for maintenance"), "bad_body", 200, "down for maintenance"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "protocol", 0, "SSH-2.0-OpenSSH_9.2\r\n"),
        (response("200 OK", body=b"x" * 500)[:-300], "closed_early", 200, "x" * 200),
    ],
)
async def test_other_failures_with_a_response_have_a_sample_too(run_load, way, sent, failure, status, body):
    with scripted(in_turn(sent), once=True, tls=way.server) as port:
        offered = await run_load(port, tls=way.tls, rps=20, duration=0.2, expect={"body_contains": "items"})

    (sample,) = samples_of(offered)
    assert (sample.failure, sample.status, sample.body) == (failure, status, body)
    assert statuses_of(offered) == {}


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no status line of HTTP/1"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
            "Content-Length",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok", "chunk"),
    ],
)
async def test_the_sample_of_a_response_that_is_no_http_says_why(run_load, way, sent, reason):
    with scripted(in_turn(sent), once=True, tls=way.server) as port:
        offered = await run_load(port, tls=way.tls, rps=20, duration=0.2)

    (sample,) = samples_of(offered)
    assert sample.failure == "protocol"
    assert reason in sample.failed_checks


async def test_a_body_that_sometimes_fails_behind_a_known_head_is_sampled(run_load, way):
    good, bad = response("200 OK", body=b"items"), response("200 OK", body=b"error")
    with scripted(in_turn(good, good, good, bad), tls=way.server) as port:
        offered = await run_load(port, tls=way.tls, rps=50, duration=0.4, expect={"body_contains": "items"})

    assert offered.failures == {"bad_body": 5}
    assert [sample.body for sample in samples_of(offered)] == ["error"]


async def test_failures_without_a_response_have_no_sample(run_load, way):
    with scripted(lambda client, _request: client.close(), once=True, tls=way.server) as port:
        offered = await run_load(port, tls=way.tls, rps=20, duration=0.2)

    assert offered.failures
    assert samples_of(offered) == []


async def test_the_warm_up_has_no_statuses(run_load, way):
    warm = itertools.count()

    def script(client, _request) -> None:
        client.sendall(REDIRECT if next(warm) < 5 else response("200 OK"))

    with scripted(script, tls=way.server) as port:
        offered = await run_load(port, tls=way.tls, rps=20, warmup=0.5, duration=0.5)

    assert (offered.succeeded, statuses_of(offered), samples_of(offered)) == (10, {}, [])


async def test_a_server_with_very_many_statuses_is_counted_in_bounded_memory(run_load, way):
    codes = itertools.count(300)

    def script(client, _request) -> None:
        client.sendall(response(f"{next(codes)} Strange"))

    with scripted(script, tls=way.server) as port:
        offered = await run_load(port, tls=way.tls, rps=100, duration=1)

    counts = statuses_of(offered)
    assert counts.pop(OTHER_STATUSES) == 100 - MAX_STATUSES
    assert set(counts.values()) == {1}
    assert len(counts) == MAX_STATUSES
    assert len(samples_of(offered)) == MAX_STATUSES + 1


async def test_each_request_of_a_mix_has_its_own_samples(run_load, way):
    def script(client, request) -> None:
        client.sendall(response("500 Oops", body=request.split()[1]))

    requests = [{"name": name, "path": f"/{name}"} for name in ("view", "order")]
    with scripted(script, tls=way.server) as port:
        offered = await run_load(port, tls=way.tls, requests=requests, rps=50, duration=0.4)

    bodies = {
        name: [sample.body for second in offered.seconds for sample in second.parts[name].samples]
        for name in ("view", "order")
    }
    assert bodies == {"view": ["/view"], "order": ["/order"]}


async def test_the_number_of_samples_of_a_worker_is_bounded(run_load, way):
    """Each response is the first of its request and status, until a request has had all that are kept."""
    responses: collections.Counter[bytes] = collections.Counter()

    def script(client, request) -> None:
        path = request.split()[1]
        responses[path] += 1
        client.sendall(response(f"{400 + responses[path]} Strange"))

    requests = [{"name": f"r{number}", "path": f"/{number}"} for number in range(40)]
    few = {"max_in_flight": 4, "when_full": "queue", "timeout": "60s"}  # no request fails for want of CPU
    with scripted(script, tls=way.server) as port:
        offered = await run_load(port, tls=way.tls, requests=requests, rps=300, duration=1.0, **few)

    assert responses.total() == 300 > MAX_SAMPLES
    assert len(samples_of(offered)) == MAX_SAMPLES


async def test_two_workers_add_their_statuses_up(run_load, way):
    with scripted(in_turn(BROKEN), tls=way.server) as port:
        offered = await run_load(port, tls=way.tls, rps=100, duration=0.4, workers=2)

    assert statuses_of(offered) == {500: 40}
    assert {sample.status for sample in samples_of(offered)} == {500}


@pytest.mark.parametrize(
    ("opening", "headers", "body"),
    [
        (response("302 Found", "LOCATION: /a b"), (("location", "/a b"),), ""),
        (b"HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n3\r\nefg\r\n", (), "abcdefg"),
        (b"HTTP/1.1 500 x\r\nContent-Length: 900\r\n\r\ncut", (), "cut"),
        (b"HTTP/1.1 103 Early\r\nLocation: /no\r\n\r\n" + BUSY, (("retry-after", "7"),), "slow down"),
        (
            response("500 x", "Content-Encoding: GZIP", body=gzip.compress(b"slow down")),
            (("content-encoding", "GZIP"),),
            "slow down",
        ),
        (
            response("500 x", "Content-Encoding: gzip", body=gzip.compress(b"a" * 10_000_000)),
            (("content-encoding", "gzip"),),
            "a" * MAX_SAMPLE,
        ),
        (
            response("500 x", "Content-Encoding: gzip", body=gzip.compress(b"slow down"))[:-8],
            (("content-encoding", "gzip"),),
            "slow down",
        ),
        (
            response("500 x", "Content-Encoding: deflate", body=zlib.compress(b"busy", wbits=-15)),
            (("content-encoding", "deflate"),),
            "busy",
        ),
        (response("500 x", "Content-Encoding: br", body=b"abc"), (("content-encoding", "br"),), ""),
        (response("500 x", "Content-Encoding: gzip", body=b"abc"), (("content-encoding", "gzip"),), ""),
        (response("500 x", body="äö\u202e\0".encode() + b"\xff"), (), "äö\u202e\0\ufffd"),
        (b"HTTP/1.1 500 x\nServer: y\n\nbare", (), "HTTP/1.1 500 x\nServer: y\n\nbare"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n\x81\x00", (("upgrade", "websocket"),), ""),
        (b"\x15\x03\x01\x00\x02\x02\x50", (), "\x15\x03\x01\x00\x02\x02P"),
        (b"x" * 5000, (), "x" * MAX_SAMPLE),
        (response("302 Found", "Location: /a", "Set-Cookie: " + "c" * 5000)[:99], (("location", "/a"),), ""),
    ],
)  # fmt: skip
def test_what_a_sample_shows_of_a_response(opening, headers, body):
    sample = response_sample("bad_status", 500, opening)

    assert (sample.headers, sample.body) == (headers, body)


def test_a_response_that_is_no_http_is_shown_from_its_beginning():
    opening = b"HTTP/1.1 200 OK\r\nServer: x\r\nbroken\r\n\r\n"

    assert response_sample("protocol", 0, opening).body == opening.decode()
