"""Variables from specification to archive: the same bytes again, and faults before anything starts."""

import hashlib
import json
import os
import re
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, app_command
from tests.servers.scripted import scripted

LOAD = {
    "when_full": "queue",
    "timeout": "60s",
    "variables": {
        "product": {"csv": "data/products.csv", "order": "random"},
        "event": {"jsonl": "data/events.jsonl", "order": "once"},
        "line": {"command": ["cat", "data/lines"]},
        "n": {"int": [1, 1_000_000]},
        "id": {"uuid": "v4"},
    },
    "requests": [
        {"name": "get", "weight": 2, "path": "/get/${product.id}/${n}", "headers": {"X-Id": "${id}"}},
        {"name": "post", "method": "POST", "path": "/post", "json": {"e": "${event}", "l": "${line}"}},
    ],
}
STAGES = [{"rps": 150, "duration": "400ms"}, {"rps": 120, "duration": "500ms", "warmup": "100ms"}]
SENT = 60 + 72
EVENTS = [json.dumps({"id": row}) for row in range(44)]


class Recorded:
    """A server that counts which requests it got."""

    def __init__(self):
        self.requests = []

    def __call__(self, client, request):
        self.requests.append(request)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def digests(self):
        counted = Counter(hashlib.sha256(request).hexdigest() for request in self.requests)
        self.requests = []
        return counted


@pytest.fixture
def home(tmp_path: Path) -> Cli:
    data = tmp_path / "data"
    data.mkdir()
    (data / "products.csv").write_text("id,name\n" + "".join(f"p{row},x\n" for row in range(20)))
    (data / "events.jsonl").write_text("\n".join(EVENTS))
    (data / "lines").write_text("a\nb\nc\n")
    return Cli(tmp_path)


def spec(home, port, stages=STAGES, **load):
    topology = {"kind": "external", "url": f"http://127.0.0.1:{port}"}
    return home.write(topology=topology, load=LOAD | load, stages=stages, cooldown="10ms")


def run(home, path, out, *options):
    return home("execute", path, "--out", out, "--no-calibrate", "--no-preflight", *options)


def test_a_run_sends_the_same_bytes_with_any_number_of_workers_and_from_its_archive(home):
    server = Recorded()
    with scripted(server) as port:
        sent = []
        for workers in (1, 2, 4):
            done = run(home, spec(home, port, workers=workers), f"run{workers}")
            assert done.returncode == 0, done.stderr
            sent.append(server.digests())
        (archive,) = (home.folder / "run4").glob("*.zip")
        done = run(home, archive, "again", "--base-dir", ".")
        assert done.returncode == 0, done.stderr
        sent.append(server.digests())

    assert "starts `cat data/lines` in the folder" in done.stderr
    assert sum(sent[0].values()) == SENT
    assert sent[0] == sent[1] == sent[2] == sent[3]
    assert not {part for count in sent for part in count.values()} - {1}
    with zipfile.ZipFile(archive) as files:
        locked = json.loads(files.read("lock.json"))["files"]
        kept = json.loads(files.read("inputs.json"))
    assert locked.keys() == {"data/products.csv", "data/events.jsonl", "the output of `cat data/lines`"}
    assert all(one["kept_as"] for one in kept.values())


def test_the_report_says_where_the_values_came_from(home):
    (home.folder / "data" / "pairs").write_text("a;b\n1;2\n\n3;4\n")
    variables = LOAD["variables"] | {
        "_pair": {"command": ["cat", "data/pairs"], "format": "csv", "delimiter": ";", "order": "random"},
        "token": {"env": "SHOP_TOKEN", "default": "not-to-be-seen"},
    }
    first, second = LOAD["requests"]
    requests = [first | {"query": {"p": "${_pair.b}", "t": "${token}"}}, second]
    with scripted(Recorded()) as port:
        done = run(home, spec(home, port, variables=variables, requests=requests), "run")
    assert done.returncode == 0, done.stderr

    folder = home.folder / "run"
    (configuration,) = json.loads((folder / "results.json").read_text())["configurations"]
    assert configuration["load"]["variables"] == [
        {"name": "product", "kind": "csv", "source": "data/products.csv", "order": "random", "rows": 20},
        {"name": "event", "kind": "jsonl", "source": "data/events.jsonl", "order": "once", "rows": 44},
        {"name": "line", "kind": "command", "source": "cat data/lines", "order": "sequential", "rows": 3},
        {"name": "n", "kind": "int"},
        {"name": "id", "kind": "uuid"},
        {"name": "_pair", "kind": "command", "source": "cat data/pairs", "order": "random", "rows": 2},
        {"name": "token", "kind": "env"},
    ]
    report = (folder / "report.md").read_text()
    rows = report.partition("### Variables")[2].partition("\n#")[0]
    assert re.search(r"\| `event` +\| jsonl `data/events.jsonl` +\| once +\| +44 \|", rows)
    assert re.search(r"\| `token` +\| a secret +\| +\| +\|", rows)
    assert "cat data/pairs" in (folder / "report.html").read_text()
    assert not any(b"SHOP_TOKEN" in (folder / name).read_bytes() for name in ("results.json", "report.md"))
    home("report", "run")
    assert (folder / "report.md").read_text() == report


def test_preflight_sends_values_that_the_load_does_not_send(home):
    server = Recorded()
    with scripted(server) as port:
        path = spec(home, port)
        done = home("execute", path, "--out", "run", "--no-calibrate")

    assert done.returncode == 0, done.stderr
    reason = "is not sent before the load, because no row of event is left"
    assert f"POST /post (request post) {reason}" in done.stderr
    assert len(server.requests) == SENT + 1
    assert set(server.digests().values()) == {1}
    events = [json.loads(match[1]) for match in re.finditer(rb'"e":(\{[^}]*\})', b"".join(server.requests))]
    assert events == []


def test_preflight_takes_a_row_only_for_a_request_that_uses_it(home):
    (home.folder / "data" / "events.jsonl").write_text("\n".join([*EVENTS, json.dumps({"id": 44})]))
    get, post = LOAD["requests"]
    third = post | {"name": "third", "path": "/third", "weight": 1}
    server = Recorded()
    with scripted(server) as port:
        path = spec(home, port, requests=[get | {"weight": 1}, post | {"weight": 1}, third | {"json": {}}])
        done = home("execute", path, "--out", "run", "--no-calibrate")
        assert done.returncode == 0, done.stderr
        assert "is not sent before the load" not in done.stderr
        assert len(server.requests) == SENT + 3
        rows = [int(row) for sent in server.requests for row in re.findall(rb'"id": ?([0-9]+)', sent)]
        assert sorted(rows) == list(range(45))

        mix = [get | {"weight": 2}, post | {"weight": 0.5}, third | {"weight": 0.5}]
        path = spec(home, port, requests=mix)
        done = home("execute", path, "--out", "both", "--no-calibrate")
    assert "POST /third (request third) is not sent before the load" in done.stderr
    assert "POST /post (request post) is not sent" not in done.stderr


def test_too_few_rows_are_refused_with_both_numbers(home):
    (home.folder / "data" / "events.jsonl").write_text("\n".join(EVENTS[:-1]))
    done = home("validate", spec(home, 1))

    assert done.returncode == 104
    assert "data/events.jsonl has 43, but 44 requests use event, warm-up included" in done.stderr
    command = {"command": ["cat", "data/events.jsonl"], "format": "jsonl", "order": "once"}
    done = run(home, spec(home, 1, variables=LOAD["variables"] | {"event": command}), "run")
    assert done.returncode == 3
    assert "the output of its command has 43, but 44 requests use event" in done.stderr


def test_a_file_that_changes_during_the_run_ends_it_with_a_sentence(home):
    server = Recorded()

    def changing(client, request):
        server(client, request)
        if len(server.requests) == 5:
            with (home.folder / "data" / "products.csv").open("a") as file:
                file.write("p99,y\n")

    with scripted(changing) as port:
        done = run(home, spec(home, port, [{"rps": 10, "duration": "2s"}]), "run")

    assert done.returncode == 3, done.stderr
    assert "load.variables.product: data/products.csv has changed since the run started" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_an_app_changes_while_it_starts_is_named_as_the_cause(home):
    script = 'echo p99,y >> "$1"; shift; exec "$@"'
    file = str(home.folder / "data" / "products.csv")
    app = {"command": ["sh", "-c", script, "sh", file, *app_command()], "ready_within": "10s"}
    load = {"variables": {"product": LOAD["variables"]["product"]}, "request": {"path": "/${product.id}"}}
    done = home("execute", home.write(topology={"kind": "process", "app": app}, load=load), "--out", "run")

    assert done.returncode == 3, done.stderr
    assert "load.variables.product: data/products.csv has changed since the run started" in done.stderr
    assert "did not start" not in done.stderr


def test_a_file_that_changes_with_its_size_and_time_kept_ends_the_run(home):
    server = Recorded()
    file = home.folder / "data" / "products.csv"
    before = file.stat()

    def changing(client, request):
        server(client, request)
        if len(server.requests) == 5:
            file.write_bytes(file.read_bytes()[:-2] + b"?\n")
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    with scripted(changing) as port:
        done = run(home, spec(home, port, [{"rps": 10, "duration": "2s"}]), "run")

    now = file.stat()
    assert (now.st_size, now.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert done.returncode == 3, done.stderr
    assert "load.variables.product: data/products.csv has changed since the run started" in done.stderr


def test_a_file_that_is_only_made_read_only_during_the_run_has_not_changed(home):
    server = Recorded()

    def changing(client, request):
        server(client, request)
        (home.folder / "data" / "products.csv").chmod(0o444)

    with scripted(changing) as port:
        done = run(home, spec(home, port, [{"rps": 10, "duration": "1s"}]), "run")

    assert done.returncode == 0, done.stderr


def test_no_text_of_a_secret_is_in_messages_about_commands_and_their_rows(home, monkeypatch):
    monkeypatch.setenv("MYTOK", "sekretTOKEN12345")
    loud = {"command": ["sh", "-c", "echo boom $MYTOK >&2; exit 1"]}
    wrong = {"command": ["sh", "-c", 'echo "{\\"$MYTOK\\": 1}"'], "format": "jsonl"}
    for rows, use, message in ((loud, "${row}", "boom [MYTOK]"), (wrong, "${row.id}", "[MYTOK]")):
        variables = {"token": {"env": "MYTOK"}, "row": rows}
        load = {"variables": variables, "request": {"path": f"/{use}", "headers": {"t": "${token}"}}}
        done = run(home, home.write(load=load), "run")
        assert done.returncode == 3
        assert "sekret" not in done.stdout + done.stderr
        assert message in done.stderr


def test_a_default_stands_in_for_an_environment_variable_that_is_not_set(home, monkeypatch):
    server = Recorded()
    load = {
        "variables": {"token": {"env": "NOT_SET_ANYWHERE", "default": "demo"}},
        "requests": [{"name": "a", "path": "/${token}"}],
    }
    with scripted(server) as port:
        first = run(home, spec(home, port, STAGES[:1], **load), "one")
        monkeypatch.setenv("NOT_SET_ANYWHERE", "from-outside")
        second = run(home, spec(home, port, STAGES[:1], **load), "two")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    paths = Counter(request.split(b" ")[1] for request in server.requests)
    assert paths == {b"/demo": 60, b"/from-outside": 60}
