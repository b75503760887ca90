"""A mix of requests in the built-in engine: exact shares, results of each request, and their sums."""

from __future__ import annotations

import re
import time
from collections import Counter

import pytest

from tests.servers.scripted import scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

REQUESTS = (
    {"name": "view", "weight": 6, "path": "/view"},
    {"name": "search", "weight": 3, "path": "/search"},
    {"name": "order", "weight": 1, "path": "/order", "method": "POST", "body": "1"},
)


def path_of(request: bytes) -> str:
    return re.match(rb"\w+ /(\w*)", request)[1].decode()


class Recorded:
    """A server that remembers which requests it got."""

    def __init__(self, **responses) -> None:
        self.paths: list[str] = []
        self._responses = responses

    def __call__(self, client, request):
        path = path_of(request)
        self.paths.append(path)
        response = self._responses.get(path, OK)
        if response:
            client.sendall(response)


def sums(facts, name, field):
    return sum(getattr(second.parts[name], field) for second in facts.seconds if name in second.parts)


def check_parts(offered) -> None:
    """Every request of every part is in one count, and the parts add up to the whole."""
    facts = offered.facts
    for field in ("scheduled", "sent", "succeeded", "dropped", "completed"):
        assert sum(sums(facts, name, field) for name in facts.parts) == getattr(offered, field), field
    for name, part in facts.parts.items():
        failed = sum(sum(s.parts[name].failures.values()) for s in facts.seconds if name in s.parts)
        assert sums(facts, name, "scheduled") == part.planned
        assert part.planned == sums(facts, name, "sent") + sums(facts, name, "dropped")
        assert sums(facts, name, "sent") == sums(facts, name, "succeeded") + failed
    for second in facts.seconds:
        merged = sum((Counter(part.response_time.counts) for part in second.parts.values()), Counter())
        assert merged == Counter(second.response_time.counts)


@pytest.mark.parametrize(
    ("way", "workers"), [("compiled", 4), ("python", 2), ("TLS 1.3", 2), ("compiled", 1)], indirect=["way"]
)
async def test_the_server_gets_each_request_as_often_as_its_share(run_load, way, workers):
    server = Recorded()
    with scripted(server, tls=way.server) as port:
        offered = await run_load(port, rps=100, duration=1, requests=REQUESTS, workers=workers, tls=way.tls)

    assert Counter(server.paths) == {"view": 60, "search": 30, "order": 10}
    assert {name: part.planned for name, part in offered.facts.parts.items()} == Counter(server.paths)
    assert {name: part.share for name, part in offered.facts.parts.items()} == pytest.approx(
        {"view": 0.6, "search": 0.3, "order": 0.1}
    )
    check_parts(offered)


async def test_the_warm_up_takes_part_in_the_order_and_is_not_counted(run_load, either_way):
    server = Recorded()
    with scripted(server) as port:
        offered = await run_load(port, rps=100, duration=0.5, warmup=0.3, requests=REQUESTS)

    assert Counter(server.paths) == {"view": 48, "search": 24, "order": 8}
    assert {name: part.planned for name, part in offered.facts.parts.items()} == {
        "view": 30, "search": 15, "order": 5
    }  # fmt: skip
    check_parts(offered)


async def test_failures_belong_to_the_request_that_failed(run_load, way):
    server = Recorded(
        search=b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", order=b"HTTP/1.1 200 OK\r\nbroken\r\n\r\n"
    )
    with scripted(server, tls=way.server) as port:
        offered = await run_load(port, rps=100, duration=1, requests=REQUESTS, tls=way.tls)

    failures = {
        name: sum((Counter(s.parts[name].failures) for s in offered.seconds if name in s.parts), Counter())
        for name in offered.facts.parts
    }
    assert failures["view"] == {}
    assert failures["search"] == {"bad_status": 30}
    assert set(failures["order"]) == {"protocol"}
    assert sum((Counter(second.statuses) for second in offered.seconds), Counter()) == {503: 30}
    check_parts(offered)


async def test_each_request_has_its_own_criteria(run_load, way):
    server = Recorded(
        search=b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"a": [1,2]}',
        order=b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nno",
    )
    requests = (
        REQUESTS[0] | {"expect": {"status": ["2xx"], "body_contains": "ok"}},
        REQUESTS[1] | {"expect": {"json": {"$.a[1]": 2}, "headers": {"Content-Type": "application/json"}}},
        REQUESTS[2] | {"expect": {"status": [201], "not_body_contains": "no"}},
    )
    with scripted(server, tls=way.server) as port:
        offered = await run_load(port, rps=100, duration=1, requests=requests, tls=way.tls)

    assert offered.failures == {"bad_body": 10}
    assert sums(offered.facts, "order", "succeeded") == 0
    check_parts(offered)


@pytest.mark.parametrize("when_full", ["drop", "queue"])
async def test_requests_that_find_no_free_slot_are_counted_where_they_belong(run_load, either_way, when_full):
    def slow(client, request):
        time.sleep(0.05)
        client.sendall(OK)

    with scripted(slow) as port:
        offered = await run_load(
            port, rps=200, duration=1, requests=REQUESTS, max_in_flight=2, when_full=when_full, timeout="0.3s"
        )

    assert offered.dropped > 50
    assert {name: part.planned for name, part in offered.facts.parts.items()} == {
        "view": 120, "search": 60, "order": 20
    }  # fmt: skip
    check_parts(offered)


async def test_new_connections_and_a_quantum_change_no_count(run_load, either_way):
    server = Recorded()
    with scripted(server, once=True) as port:
        offered = await run_load(
            port, rps=100, duration=1, requests=REQUESTS, connection="new", quantum="1ms"
        )

    assert Counter(server.paths) == {"view": 60, "search": 30, "order": 10}
    check_parts(offered)


async def test_a_single_request_has_no_parts(run_load, either_way):
    with scripted(Recorded()) as port:
        offered = await run_load(port, rps=50, duration=0.3)

    assert offered.facts.parts == {}
    assert all(second.parts == {} for second in offered.seconds)
