"""A mix offered by k6: shares, bodies, secrets and checks, compared with what a server received."""

import json
import os
from collections import Counter
from urllib.parse import parse_qsl, urlsplit

import pytest

from runner.core.endpoint import Endpoint
from runner.experiment.model import Load, Stage
from runner.load.engine import LoadOrder
from runner.load.inputs import Inputs
from runner.load.k6.binary import which_k6
from runner.load.k6.plan import plan_of, script_order
from runner.load.request import rendered
from tests.load.k6_stage import Run, offer
from tests.servers.scripted import scripted

WITHOUT_K6 = which_k6() is None and os.environ.get("CI") != "true"


def needs_k6(test):
    return pytest.mark.k6(pytest.mark.skipif(WITHOUT_K6, reason="k6 is not installed")(test))


SECRET = "s3cret-/ü'\"&=+ 9"
FILES = {"a.bin": bytes(range(256))}
REQUESTS = [
    {"name": "search", "weight": 6, "path": "/search", "query": {"q": "a b"}},
    {"name": "order", "weight": 3, "method": "POST", "path": "/order/${token}", "query": {"k": "${token}"},
     "headers": {"X-Id": "id-${id}"}, "json": {"t": ["<${token}>", 1.5, None]}, "expect": {"status": [201]}},
    {"name": "login", "method": "POST", "path": "/login", "form": {"user": "ada", "pass": "${token}"}},
    {"name": "file", "weight": 2, "method": "PUT", "path": "/file",
     "multipart": [{"name": "f", "file": "a.bin"}]},
]  # fmt: skip
VARIABLES = {"token": {"env": "TOKEN"}, "id": {"env": "ID"}}
INPUTS = Inputs({"token": SECRET, "id": "a7"}, FILES)


def order(port: int, load: Load, kept: dict | None = None, rps: float = 120, **stage) -> LoadOrder:
    keep = None if kept is None else kept.__setitem__
    return LoadOrder(
        Endpoint("127.0.0.1", port),
        load,
        Stage(name="s", rps=rps, duration=1.0, **stage),
        keep,
        inputs=INPUTS,
    )


def mix(**load) -> Load:
    return Load(engine="k6", timeout=2.0, **({"requests": REQUESTS, "variables": VARIABLES} | load))


def test_secrets_are_in_the_environment_and_in_no_file():
    stage = order(1, mix())
    text = json.dumps(script_order(stage, plan_of(stage)), ensure_ascii=False)

    assert "s3cret" not in text
    assert '{"env": "LOADPROOF_VALUE_token", "encode": "percent"}' in text
    assert script_order(stage, plan_of(stage))["order"][:12].count(0) == 6


def test_arrivals_of_each_request_are_counted_over_warm_up_and_window():
    stage = order(1, mix(), rps=100, warmup=0.25)
    plan = plan_of(stage)

    counted = Counter(plan.mix.order[number % len(plan.mix.order)] for number in range(25, 125))
    names = [request["name"] for request in REQUESTS]
    assert plan.planned_by_request == {name: counted[index] for index, name in enumerate(names)}
    assert plan.mix.share("search") == 0.5


class Shop:
    """Answers by path, and keeps every request."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []

    def __call__(self, client, request: bytes) -> None:
        self.requests.append(request)
        status = "201 Created" if request.startswith(b"POST /order") else "200 OK"
        body = b'{"state": "ok", "items": [{"n": 5}]}'
        client.sendall(
            f"HTTP/1.1 {status}\r\nX-A: b\r\nX-A: c\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )

    @property
    def paths(self) -> Counter:
        return Counter(
            urlsplit(line.split(" ")[1]).path.split("/")[1] for line in map(first_line, self.requests)
        )


def first_line(request: bytes) -> str:
    return request.partition(b"\r\n")[0].decode()


@pytest.fixture(scope="module")
def offered():
    import trio

    shop, kept = Shop(), {}
    with scripted(shop) as port:
        run = Run()
        trio.run(offer, order(port, mix(), kept), None, run)
        yield run, shop, kept, port


@needs_k6
def test_each_request_has_exactly_its_share(offered):
    run, shop, _, _ = offered

    assert run.failures == {}
    assert shop.paths == {"search": 60, "order": 30, "login": 10, "file": 20}


@needs_k6
def test_counts_and_latencies_of_each_request_are_facts(offered):
    run, shop, _, _ = offered
    seconds = run.facts.seconds

    assert {name: part.planned for name, part in run.facts.parts.items()} == shop.paths
    for name, part in run.facts.parts.items():
        own = [second.parts[name] for second in seconds if name in second.parts]
        sums = {
            key: sum(getattr(second, key) for second in own) for key in ("sent", "succeeded", "scheduled")
        }
        assert set(sums.values()) == {shop.paths[name]}
        assert part.stated_ms["duration"]["p95"] >= part.stated_ms["duration"]["p50"] > 0
        assert part.stated_ms["response_time"] is None


@needs_k6
def test_k6_sends_what_the_builtin_engine_sends(offered):
    _, shop, _, port = offered
    for part in mix().parts:
        ours = rendered(part, Endpoint("127.0.0.1", port), "keep-alive", INPUTS)
        theirs = next(one for one in shop.requests if f" /{part.name}" in first_line(one))
        assert first_line(theirs) == first_line(ours)
        assert theirs.partition(b"\r\n\r\n")[2] == ours.partition(b"\r\n\r\n")[2]
        lines = {line.lower() for line in theirs.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]}
        assert {line.lower() for line in ours.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]} <= lines


@needs_k6
def test_the_secret_arrives_and_stays_out_of_the_archive(offered):
    _, shop, kept, _ = offered
    request = next(one for one in shop.requests if first_line(one).startswith("POST /order"))
    head, _, body = request.partition(b"\r\n\r\n")

    assert parse_qsl(urlsplit(first_line(request).split(" ")[1]).query) == [("k", SECRET)]
    assert json.loads(body) == {"t": [f"<{SECRET}>", 1.5, None]}
    assert b"id-a7" in head
    assert kept
    assert not any(b"s3cret" in content for content in kept.values())


GOOD = {"json": {"$.items[-1].n": {"min": 5, "max": 5}, "$.state": "ok", "$.no": {"exists": False}},
        "body_contains": ["state", "ok"], "not_body_contains": "error", "body_matches": r'"n": [0-9]\}.\}$',
        "headers": {"x-a": "b, c", "X-No": {"exists": False}}}  # fmt: skip


@needs_k6
async def test_checks_fail_as_those_of_the_builtin_engine_do():
    expects = {
        "good": (GOOD, ""),
        "status": ({"status": ["3xx"]}, "bad_status"),
        "json": ({"json": {"$.items[0].n": "5"}}, "bad_body"),
        "low": ({"json": {"$.items[0].n": {"min": 6}}}, "bad_body"),
        "missing": ({"json": {"$.items[1]": {"exists": True}}}, "bad_body"),
        "text": ({"body_contains": "nothing"}, "bad_body"),
        "excluded": ({"not_body_contains": ["x", "state"]}, "bad_body"),
        "pattern": ({"body_matches": "^state"}, "bad_body"),
        "header": ({"headers": {"X-A": "b"}}, "bad_header"),
        "no-header": ({"headers": {"X-B": {"contains": "b"}}}, "bad_header"),
        "matches": ({"headers": {"X-A": {"matches": "^c"}}}, "bad_header"),
    }
    requests = [{"name": name, "path": f"/{name}", "expect": expect} for name, (expect, _) in expects.items()]
    with scripted(Shop()) as port:
        run = await offer(order(port, mix(requests=requests, variables={}), rps=110))

    for name, (_, kind) in expects.items():
        failures, counts = Counter(), Counter()
        for part in (second.parts[name] for second in run.facts.seconds if name in second.parts):
            failures.update(part.failures)
            counts.update(sent=part.sent, dropped=part.dropped)
        assert failures == ({kind: counts["sent"]} if kind else {}), name
        # a busy machine may drop some requests, because there are few virtual users
        assert counts["sent"] > 5, name
        assert counts["sent"] + counts["dropped"] == 10, name
