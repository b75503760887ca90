"""Rows of files and commands: which arrival sends which row, and how it is read."""

import csv
import hashlib
import io
import json
import re
from collections import Counter
from itertools import islice

import pytest

from runner.core.endpoint import Endpoint
from runner.core.mix import order as mix_order
from runner.execution.inputs import read_inputs
from runner.experiment.arrivals import Numbering
from runner.experiment.model import Load, Stage
from runner.load.builtin import offer
from runner.load.engine import LoadOrder
from tests.servers.scripted import scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture
def sent(tmp_path, preloaded_workers):
    """Offer a load to a real server; returns the requests as they arrived."""

    async def send(files, *, rps=200, users=0, duration=0.5, warmup=0.0, first=None, **load):
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
        requests = []

        def keep(client, request):
            requests.append(request)
            client.sendall(OK)

        with scripted(keep) as port:
            experiment = Load(when_full="queue", timeout="30s", **load)
            inputs = read_inputs([experiment], tmp_path).of(experiment)
            level = {"users": users} if users else {"rps": rps}
            stage = Stage(**level, duration=f"{duration}s", warmup=f"{warmup}s")
            endpoint = Endpoint("127.0.0.1", port)
            order = LoadOrder(endpoint, experiment, stage, inputs=inputs, numbering=first or Numbering())
            await offer(order, on_spawn=lambda _: None, on_second=lambda _: None)
        return requests

    return send


def paths(requests):
    return [request.split(b" ")[1].decode().removeprefix("/") for request in requests]


async def test_rows_are_sent_one_after_another_and_again_from_the_beginning(sent, either_way):
    variables = {"p": {"csv": "p.csv"}}
    requests = await sent(
        {"p.csv": b"id,name\n1,a\n2,b\n3,c\n"}, variables=variables, request={"path": "/${p.id}-${p.name}"}
    )

    assert Counter(paths(requests)) == {"1-a": 34, "2-b": 33, "3-c": 33}


@pytest.mark.parametrize("workers", [1, 4])
async def test_a_row_is_counted_only_by_the_requests_that_use_it(sent, workers):
    rows = b"".join(b"%d\n" % row for row in range(1000))
    mix = [{"name": "use", "weight": 3, "path": "/${l}"}, {"name": "other", "weight": 2, "path": "/x"}]
    variables = {"l": {"command": ["cat", "rows"]}}
    requests = await sent({"rows": rows}, warmup=0.1, workers=workers, variables=variables, requests=mix)

    assert Counter(paths(requests)) == Counter(map(str, range(72))) + Counter({"x": 48})


async def test_users_take_every_row_once_before_the_first_comes_again(sent, either_way):
    rows = b"".join(b"%d\n" % row for row in range(100_000))
    mix = [{"name": "use", "weight": 2, "path": "/${p.id}"}, {"name": "other", "weight": 3, "path": "/x"}]
    variables = {"p": {"csv": "p.csv"}}
    requests = await sent({"p.csv": b"id\n" + rows}, users=4, workers=2, variables=variables, requests=mix)

    rows_sent = Counter(paths(requests))
    assert rows_sent.pop("x") > 20
    assert len(rows_sent) > 20
    assert set(rows_sent.values()) == {1}


async def test_values_go_on_where_the_stages_before_ended(sent):
    files = {"l.csv": b"a\n" + b"".join(b"r%d\n" % row for row in range(1000))}
    load = {
        "variables": {"l": {"csv": "l.csv"}, "n": {"counter": {"start": 1}}},
        "request": {"path": "/${l.a}/${n}"},
    }
    requests = await sent(files, rps=20, first=Numbering(700, {"l": 500}), **load)

    assert sorted(paths(requests)) == [f"r{500 + k}/{701 + k}" for k in range(10)]


@pytest.mark.parametrize("workers", [1, 3])
async def test_once_sends_every_row_exactly_once(sent, workers):
    rows = [json.dumps({"id": row, "text": "ü" * row}).encode() for row in range(200)]
    requests = await sent(
        {"rows.jsonl": b"\n".join(rows)},
        rps=200,
        duration=0.8,
        warmup=0.2,
        workers=workers,
        variables={"row": {"jsonl": "rows.jsonl", "order": "once"}},
        request={"method": "POST", "body": "${row}"},
    )

    bodies = Counter(hashlib.sha256(request.partition(b"\r\n\r\n")[2]).digest() for request in requests)
    assert bodies == Counter(hashlib.sha256(row).digest() for row in rows)


async def test_random_rows_are_the_same_with_any_number_of_workers(sent):
    files = {"p.csv": b"id\n" + b"".join(b"%d\n" % row for row in range(20))}
    load = {"variables": {"p": {"csv": "p.csv", "order": "random"}}, "request": {"path": "/${p.id}/${p.id}"}}
    one, four = [Counter(paths(await sent(files, workers=workers, **load))) for workers in (1, 4)]

    assert one == four
    assert len(one) > 15
    assert all(re.fullmatch(r"(\d+)/\1", path) for path in one)


async def test_csv_is_read_as_pythons_csv_module_reads_it(sent):
    text = '\ufeffid;"a ""b""";c\r\n1;"x;\ny\r\n\r\nz";\r\n\r\n2;"""";a"b\r\n3; ü ;"end"'
    (header, *rows) = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=";")
    rows = [row for row in rows if row]
    variables = {"p": {"csv": "p.csv", "delimiter": ";"}}
    request = {"method": "POST", "json": ["${p.id}", '${p.a "b"}', "${p.c}"]}
    requests = await sent({"p.csv": text.encode()}, rps=6, variables=variables, request=request)

    assert header == ["id", 'a "b"', "c"]
    assert [json.loads(request.partition(b"\r\n\r\n")[2]) for request in requests] == rows


async def test_a_row_of_json_is_inserted_whole_or_in_parts(sent):
    rows = [
        '{"user": {"id": 7, "tags": ["a", "b c"]}, "price": 1.50}',
        '{"user": {"id": null, "tags": [[], true]}, "price": 2}',
    ]
    request = {
        "method": "POST",
        "path": "/${e.user.tags.1}",
        "query": {"q": "${e.user.tags}"},
        "json": {"all": "${e}", "id": "${e.user.id}", "text": "id ${e.user.id}"},
    }
    variables = {"e": {"jsonl": "e.jsonl"}}
    requests = await sent({"e.jsonl": "\n".join(rows).encode()}, rps=4, variables=variables, request=request)

    assert paths(requests) == ["b%20c?q=%5B%22a%22%2C%22b%20c%22%5D", "true?q=%5B%5B%5D%2Ctrue%5D"]
    first, second = [request.partition(b"\r\n\r\n")[2].decode() for request in requests]
    assert first == f'{{"all":{rows[0]},"id":7,"text":"id 7"}}'
    assert second == f'{{"all":{rows[1]},"id":null,"text":"id null"}}'


async def test_a_row_that_is_text_has_no_quotes_outside_json(sent):
    request = {"method": "POST", "path": "/${e}", "json": ["${e}", "<${e}>"]}
    variables = {"e": {"jsonl": "e.jsonl"}}
    requests = await sent({"e.jsonl": b'"a \\"b"'}, rps=2, variables=variables, request=request)

    assert paths(requests) == ["a%20%22b"]
    assert json.loads(requests[0].partition(b"\r\n\r\n")[2]) == ['a "b', '<a "b>']


async def test_a_large_file_is_read_row_by_row(sent, monkeypatch):
    row = b"x" * 1000
    content = b"".join(b"%06d%s\n" % (number, row) for number in range(40_000))
    variables = {"l": {"csv": "l.csv", "order": "random"}}
    requests = await sent({"l.csv": b"c\n" + content}, variables=variables, request={"path": "/${l.c}"})

    numbers = [int(path[:6]) for path in paths(requests)]
    assert all(path[6:] == row.decode() for path in paths(requests))
    assert len(set(numbers)) > 95
    assert max(numbers) > 30_000


def test_the_rank_of_an_arrival_follows_the_mix():
    from runner.core.mix import earlier_uses

    weights = [6, 3, 1]
    uses = earlier_uses(weights, {0, 2})
    chosen = list(islice(mix_order(weights), 57))
    assert [uses(k) for k in range(57)] == [sum(index in {0, 2} for index in chosen[:k]) for k in range(57)]
