"""One request before the load: a specification that cannot work is reported, and no load is offered."""

import json
import socket
import sys

import pytest

from runner.core.load_facts import ResponseSample
from runner.core.status_advice import status_advice
from tests.cli.conftest import app_command, leftovers
from tests.cli.test_execute import only_stage, results_of
from tests.servers.scripted import scripted

STAGES = [{"rps": 40, "duration": "500ms"}]
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nitems"
REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 5\r\n\r\nlogin"


class Answering:
    """Sends one response to whatever comes, and keeps the requests."""

    def __init__(self, response: bytes) -> None:
        self.response = response
        self.requests: list[bytes] = []

    def __call__(self, client: socket.socket, request: bytes) -> None:
        self.requests.append(request)
        client.sendall(self.response)


def external(port: int) -> dict:
    return {"kind": "external", "url": f"http://127.0.0.1:{port}"}


def run(cli, server, *options, **load):
    with scripted(server) as port:
        spec = cli.write(topology=external(port), stages=STAGES, load={"timeout": "1s"} | load)
        return cli("execute", spec, "--out", "run", *options)


REFUSED = {
    "redirect": (REDIRECT, "the status is 302", "Location: /login"),
    "credentials": (
        b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n",
        "the status is 401",
        "WWW-Authenticate: Basic realm=x",
    ),
    "rate limit": (
        b"HTTP/1.1 429 Slow\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n",
        "the status is 429",
        "Retry-After: 30",
    ),
    "another body": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nmaintenance",
        "is not as body_contains of expect says: expect.body_contains requires 'items'",
        "body: maintenance",
    ),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", "not valid HTTP/1.1", "body: SSH-2.0-OpenSSH_9.2"),
}


@pytest.mark.parametrize(("response", "what", "more"), REFUSED.values(), ids=REFUSED)
def test_a_response_that_fails_the_checks_ends_the_run_before_the_load(cli, response, what, more):
    server = Answering(response)
    done = run(cli, server, expect={"body_contains": "items"}, request={"path": "/a"})

    assert done.returncode == 3
    assert "error: GET /a, sent once before the load, failed its checks: " in done.stderr
    assert what in done.stderr
    assert more in done.stderr
    assert "--no-preflight" in done.stderr
    assert len(server.requests) == 1
    assert not (cli.folder / "run" / "results.json").exists()


def test_without_preflight_the_load_runs_and_the_report_counts_each_status(cli):
    server = Answering(REDIRECT)
    done = run(cli, server, "--no-preflight")

    assert done.returncode == 0, done.stderr
    assert len(server.requests) == 20
    stage = only_stage(cli.folder / "run")
    assert stage["requests"]["statuses"] == {"302": 20}
    (finding,) = [f for f in stage["verdict"]["findings"] if f["code"] == "error-limited"]
    assert finding["advice"].endswith("(Location: /login)")
    report = (cli.folder / "run" / "report.md").read_text()
    assert "### Failed Responses" in report
    assert "`location: /login; body: login`" in report
    assert "--no-preflight" in results_of(cli.folder / "run")["run"]["command"]


def test_the_target_gets_exactly_one_more_request_with_the_bytes_of_the_load(cli):
    server = Answering(GOOD)
    request = {"method": "POST", "path": "/items", "headers": {"X-Key": "k"}, "body": "{}"}
    done = run(cli, server, "--set", "repeats=2", request=request)

    assert done.returncode == 0, done.stderr
    assert len(server.requests) == 41
    assert len(set(server.requests)) == 1


def test_each_configuration_is_checked_and_the_results_of_earlier_ones_are_kept(cli):
    def server(client, request) -> None:
        client.sendall(REDIRECT if request.startswith(b"GET /moved") else GOOD)

    configurations = [
        {"name": "good", "load": {"request": {"path": "/"}}},
        {"name": "moved", "load": {"request": {"path": "/moved"}}},
    ]
    with scripted(server) as port:
        spec = cli.write(topology=external(port), stages=STAGES, configurations=configurations)
        done = cli("execute", spec, "--out", "run")

    assert done.returncode == 3
    assert "GET /moved, sent once before the load, failed its checks" in done.stderr
    good, moved = results_of(cli.folder / "run")["configurations"]
    assert good["stages"][0]["requests"]["succeeded"] == 20
    assert moved["stages"][0]["status"] == "not-run"


def test_a_slow_first_response_is_no_fault_of_the_specification(cli):
    app = {"command": app_command(), "ready_within": "10s", "env": {"SMALL_APP_DELAY_S": "0.3"}}
    spec = cli.write(
        topology={"kind": "process", "app": app},
        stages=STAGES,
        load={"request": {"path": "/"}, "timeout": "50ms"},
    )
    done = cli("execute", spec, "--out", "run")

    assert done.returncode == 0, done.stderr
    assert only_stage(cli.folder / "run")["requests"]["failures"] == {"timeout": 20}


def test_an_app_that_does_not_survive_the_request_is_reported_with_its_last_words(cli):
    app = {"command": app_command("dies-on-request", "--after=-1"), "ready_within": "10s"}
    done = cli("execute", cli.write(topology={"kind": "process", "app": app}, stages=STAGES), "--out", "run")

    assert done.returncode == 3
    assert "after GET / was sent once before the load" in done.stderr
    assert "small_app: I am out of here" in done.stderr
    logs = [*(cli.folder / "run").rglob("app.log")]
    assert "I am out of here" in logs[0].read_text()
    assert leftovers(cli.folder) == []


CRASHING = """
import http.server, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        health = self.path == "/healthz"
        if not health:
            print("no table with the token", os.environ["TOKEN"], flush=True)
        body = b"ok" if health else f"denied for {os.environ['TOKEN']}".encode()
        self.send_response(200 if health else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
TOKEN = "s3cret-of-the-service"


@pytest.mark.parametrize("options", [(), ("--no-preflight",)], ids=["preflight", "load"])
def test_server_errors_quote_the_app_and_no_secret_is_shown_or_stored(cli, monkeypatch, options):
    monkeypatch.setenv("TOKEN", TOKEN)
    script = cli.folder / "crashing.py"
    script.write_text(CRASHING)
    app = {"command": [sys.executable, str(script), "{port}"], "env_from": ["TOKEN"], "health": "/healthz"}
    done = cli(
        "execute",
        cli.write(topology={"kind": "process", "app": app}, stages=STAGES),
        "--out",
        "run",
        *options,
    )

    stored = b"".join(file.read_bytes() for file in (cli.folder / "run").rglob("*") if file.is_file())
    assert TOKEN not in done.stdout + done.stderr
    assert TOKEN.encode() not in stored
    if options:
        assert done.returncode == 0, done.stderr
        stage = only_stage(cli.folder / "run")
        assert stage["samples"][0]["body"] == "denied for [TOKEN]"
        assert stage["app_output"][-1] == "no table with the token [TOKEN]"
        advice = stage["verdict"]["findings"][0]["advice"]
        assert advice.endswith("the app's last output: no table with the token [TOKEN]")
    else:
        assert done.returncode == 3
        assert "body: denied for [TOKEN]" in done.stderr
        assert "no table with the token [TOKEN]" in done.stderr


def test_an_archive_and_an_interrupted_run_keep_the_choice(cli):
    done = run(cli, Answering(REDIRECT), "--no-preflight")
    assert done.returncode == 0, done.stderr

    assert json.loads((cli.folder / "run" / "run.json").read_text())["preflight"] is False
    done = cli.in_process("verify", next((cli.folder / "run").glob("*.zip")))
    assert done.returncode == 0, done.stdout + done.stderr


SEARCH = "load.requests[search].expect.status"
MIX = [
    {"name": "search", "path": "/search"},
    {"name": "order", "path": "/orders", "method": "POST", "body": "{}"},
    {"name": "pay", "path": "/pay"},
    {"name": "list", "path": "/list", "expect": {"body_contains": "items"}},
]


def test_every_request_of_a_mix_is_tried_and_all_that_fail_are_listed_with_their_own_advice(cli):
    responses = {
        b"GET /search": b"HTTP/1.1 404 No\r\nContent-Length: 7\r\n\r\nnothing",
        b"POST /orders": REDIRECT,
        b"GET /pay": GOOD,
        b"GET /list": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnone",
    }
    location = (("location", "/login"),)
    seen = []

    def server(client, request) -> None:
        key = next(start for start in responses if request.startswith(start))
        seen.append(key)
        client.sendall(responses[key])

    done = run(cli, server, requests=MIX)

    assert done.returncode == 3
    assert seen == list(responses)
    lines = [line.strip() for line in done.stderr.splitlines()]
    assert "error: 3 of 4 requests, each sent once before the load, failed their checks" in lines
    reason = "the body of the response is not as body_contains of expect says"
    for line in (
        f"GET /search (request search): the status is 404, and {SEARCH} accepts 200",
        "received: body: nothing",
        "what to do: check load.requests[search].path",
        "POST /orders (request order): the status is 302, and load.requests[order].expect.status accepts 200",
        "what to do: " + status_advice(302, ResponseSample("bad_status", 302, location), request="order"),
        f"GET /list (request list): {reason}: expect.body_contains requires 'items'",
        "what to do: check load.requests[list] and its expect, and the service's log",
    ):
        assert line in lines
    assert "/pay" not in done.stderr


SCENARIOS = [
    {
        "name": "visit",
        "steps": [
            {"request": {"name": "home", "path": "/"}, "extract": {"token": {"json": "$.token"}}},
            {"pause": "30s"},
            {"request": {"name": "item", "path": "/items"}},
        ],
    }
]


def at_steps(cli, responses, **stage):
    def server(client, request) -> None:
        client.sendall(responses[request.split(b" ")[1]])

    with scripted(server) as port:
        stages = [{"users_per_s": 10, "duration": "200ms", **stage}]
        spec = cli.write(topology=external(port), stages=stages, load={"scenarios": SCENARIOS})
        return cli("execute", spec, "--out", "run")


WITH_TOKEN = b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"token": 17}'


def test_one_user_goes_through_a_scenario_with_short_pauses_and_the_failing_step_is_named(cli):
    done = at_steps(cli, {b"/": WITH_TOKEN, b"/items": b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"})

    assert done.returncode == 3
    key = "load.scenarios[visit][item]"
    reason = f"the status is 404, and {key}.expect.status accepts 200"
    assert (
        f"GET /items (step visit/item), sent once before the load, failed its checks: {reason}" in done.stderr
    )
    assert f"hint: check {key}.path" in done.stderr


def test_a_value_that_a_step_does_not_find_is_named(cli):
    done = at_steps(cli, {b"/": GOOD})

    assert done.returncode == 3
    reason = "`token` not found in the response to home: the body is not JSON"
    assert f"GET / (step visit/home), sent once before the load, failed its checks: {reason}" in done.stderr


MIXED = CRASHING.replace(
    """print("no table with the token", os.environ["TOKEN"], flush=True)""",
    """print("crash of" if self.path == "/a" else "no table for", self.path, flush=True)""",
)


@pytest.fixture
def crashing(cli, monkeypatch):
    monkeypatch.setenv("TOKEN", TOKEN)
    script = cli.folder / "crashing.py"
    script.write_text(MIXED)
    app = {"command": [sys.executable, str(script), "{port}"], "env_from": ["TOKEN"], "health": "/healthz"}
    requests = [{"name": name, "path": f"/{name}"} for name in ("a", "b", "healthz")]
    return cli.write(topology={"kind": "process", "app": app}, stages=STAGES, load={"requests": requests})


def test_what_the_app_wrote_is_quoted_beside_the_request_that_it_wrote_it_for(cli, crashing):
    done = cli("execute", crashing, "--out", "run")

    about_a, _, about_b = done.stderr.partition("GET /a (request a)")[2].partition("GET /b (request b)")
    assert done.returncode == 3
    assert "crash of /a" in about_a
    assert "no table for" not in about_a
    assert "no table for /b" in about_b
    assert "crash of" not in about_b
    logs = cli.folder / "run" / "provenance" / "logs" / "tiny"
    assert f"the app's whole output: {logs.relative_to(cli.folder)}" in done.stderr
    assert "crash of /a" in (logs / "app.log").read_text()


def test_the_report_of_a_mix_quotes_a_line_about_the_request_or_calls_it_the_last_line(cli, crashing):
    done = cli("execute", crashing, "--out", "run", "--no-preflight")

    assert done.returncode == 0, done.stderr
    report = (cli.folder / "run" / "report.md").read_text()
    rows = [line for line in report.splitlines() if line.startswith("| 40 RPS") and "| 500 " in line]
    a, b = sorted(rows)
    assert "the app's last output about it: crash of /a" in a
    assert "the app's last output about it: no table for /b" in b
    advice = only_stage(cli.folder / "run")["verdict"]["findings"][0]["advice"]
    assert "; the last line of the app's log, which may be about another request: " in advice
