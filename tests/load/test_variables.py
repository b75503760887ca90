"""Requests with variables: the same bytes in every run, whatever the number of workers."""

import json
import re
import uuid
from collections import Counter
from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote_to_bytes

import pytest

from tests.servers.scripted import scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GENERATED = {
    "n": {"int": [-5, 5]},
    "x": {"float": [-1, 1.5]},
    "plan": {"choice": {"free & easy": 3, "paid": 1}},
    "any": {"choice": ["a/b", 7, 1.5, True, None]},
    "text": {"string": {"length": 20, "alphabet": 'aü&"x'}},
    "id": {"uuid": "v4"},
    "count": {"counter": {"start": 100, "step": -2}},
}
REQUESTS = (
    {
        "name": "order",
        "method": "POST",
        "path": "/order/${any}",
        "headers": {"X-Id": "id ${id}"},
        "json": {"n": "${n}", "x": "${x}", "any": ["${any}"], "t": "${text}", "both": "${n}:${text}"},
    },
    {"name": "form", "method": "POST", "path": "/form", "form": {"plan": "${plan}", "c": "${count}"}},
    {"name": "plain", "path": "/plain"},
)


class Recorded:
    """A server that keeps the requests it gets."""

    def __init__(self):
        self.requests = []

    def __call__(self, client, request):
        self.requests.append(request)
        client.sendall(OK)


def parsed(request):
    head, _, body = request.partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    headers = dict(entry.split(": ", 1) for entry in lines)
    assert int(headers.get("Content-Length", 0)) == len(body)
    return line, headers, body


async def bytes_of(run_load, port_of, workers, **load):
    server = Recorded()
    with scripted(server) as port:
        await run_load(port, workers=workers, **load)
    return Counter(re.sub(rb"Host: [^\r]*\r\n", b"", request) for request in server.requests)


async def test_the_bytes_are_the_same_with_any_number_of_workers(run_load, either_way):
    load = {"rps": 150, "duration": 0.4, "warmup": 0.1, "variables": GENERATED, "requests": REQUESTS}
    one, four = [await bytes_of(run_load, None, workers, **load) for workers in (1, 4)]

    assert sum(one.values()) == 75
    assert one == four
    other = await bytes_of(run_load, None, 1, **load, seed=2)
    assert not any(b"POST /order" in request for request in one & other)


async def test_values_are_encoded_where_they_stand_and_keep_their_type_in_json(run_load, way):
    server = Recorded()
    with scripted(server, tls=way.server) as port:
        await run_load(
            port, rps=150, duration=1, variables=GENERATED, requests=REQUESTS, tls=way.tls, workers=2
        )
    orders, forms = [], []
    for line, headers, body in map(parsed, server.requests):
        if "/order" in line:
            document = json.loads(body)
            sent = unquote_to_bytes(line.split(" ")[1].removeprefix("/order/")).decode()
            value = document["any"][0]
            assert sent == (value if isinstance(value, str) else json.dumps(value))
            uuid.UUID(headers["X-Id"].removeprefix("id "), version=4)
            assert document["both"] == f"{document['n']}:{document['t']}"
            orders.append(document)
        elif "/form" in line:
            forms.append(dict(parse_qsl(body.decode())))

    assert len(orders) == len(forms) == 50
    assert {order["n"] for order in orders} == set(range(-5, 6))
    assert all(-1 <= order["x"] <= 1.5 and isinstance(order["x"], float) for order in orders)
    assert {repr(order["any"][0]) for order in orders} == {"'a/b'", "7", "1.5", "True", "None"}
    assert all(len(order["t"]) == 20 and set(order["t"]) <= set('aü&"x') for order in orders)
    plans = Counter(form["plan"] for form in forms)
    assert plans.keys() == {"free & easy", "paid"}
    assert plans["free & easy"] > plans["paid"]
    counts = sorted((int(form["c"]) for form in forms), reverse=True)
    assert counts == [100 - 2 * k for k in range(1, 150, 3)]


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 1000), ("iso", None)])
async def test_a_timestamp_is_the_time_of_sending(run_load, unit, scale):
    server = Recorded()
    before = datetime.now(UTC).timestamp()
    with scripted(server) as port:
        request = {"path": "/${now}"}
        await run_load(port, rps=20, duration=0.5, variables={"now": {"timestamp": unit}}, request=request)
    after = datetime.now(UTC).timestamp()

    texts = [parsed(request)[0].split(" ")[1][1:].replace("%3A", ":") for request in server.requests]
    times = [float(text) / scale if scale else datetime.fromisoformat(text).timestamp() for text in texts]
    assert len(times) == 10
    assert before - 1 <= min(times) <= max(times) <= after
