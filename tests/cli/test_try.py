"""`runner try`: each request or scenario once, against real servers."""

import os
import re
import signal
import socket
import time

import pytest
import yaml

from tests.cli.conftest import app_command, leftovers
from tests.servers.scripted import scripted

STAGES = [{"users_per_s": 10, "duration": "1s"}]


RESPONSES = {
    b"/login": ("200 OK", b"Set-Cookie: sid=s1\r\n", b'{"token": "t-1", "items": [4, 5]}'),
    b"/cookies": (
        "200 OK",
        b"Set-Cookie: a=1; Domain=other.example\r\nSet-Cookie: b=1; Secure\r\nSet-Cookie: c=1\r\n",
        b"ok",
    ),
    b"/away": ("302 Found", b"Location: /home\r\n", b""),
    b"/foreign": ("302 Found", b"Location: http://other.example/\r\n", b""),
    b"/gone": ("404 Not Found", b"", b"no such page"),
    b"/hostile": ("200 OK", b"", b"\x1b[31mred\n::error::x\n\x07 my-own-secret"),
    b"/picture": ("200 OK", b"Content-Type: image/png\r\n", bytes(range(256))),
    b"/long": ("200 OK", b"", b"line of text\n" * 1000),
}


class Site:
    """Responds by the path of a request, and keeps all requests."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []

    def __call__(self, client: socket.socket, request: bytes) -> None:
        self.requests.append(request)
        path = request.split(b" ")[1].partition(b"?")[0]
        status, headers, body = RESPONSES.get(path, ("200 OK", b"", b"ok"))
        client.sendall(
            b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status.encode(), headers, len(body), body)
        )

    @property
    def paths(self) -> list[str]:
        return [request.split(b" ")[1].decode() for request in self.requests]


@pytest.fixture
def site():
    server = Site()
    with scripted(server) as port:
        server.url = f"http://127.0.0.1:{port}"
        yield server


def run(cli, site, *options, load, stages=STAGES, **changes):
    spec = cli.write(topology={"kind": "external", "url": site.url}, load=load, stages=stages, **changes)
    return cli.in_process("try", spec, *options)


def scenario(*steps, name="buy", **load):
    return {"scenarios": [{"name": name, "steps": list(steps)}], **load}


LOGIN = {
    "request": {"name": "login", "method": "POST", "path": "/login", "form": {"user": "ada"}},
    "extract": {"token": {"json": "$.token"}, "items": {"json": "$.items", "pick": "all"}},
}


def test_a_scenario_is_shown_step_by_step_with_messages_checks_and_extracts(cli, site):
    steps = (
        LOGIN,
        {"pause": "10ms"},
        {
            "for_each": "items",
            "as": "item",
            "steps": [{"request": {"name": "item", "path": "/items/${item}"}}],
        },
        {
            "request": {
                "name": "away",
                "path": "/away",
                "headers": {"X-Token": "${token}"},
                "follow_redirects": 1,
            }
        },
    )
    done = run(cli, site, load=scenario(*steps))

    assert done.returncode == 0, done.stdout + done.stderr
    assert site.paths == ["/login", "/items/4", "/items/5", "/away", "/home"]
    shown = re.sub(r", [0-9.e+]+ m?s$", "", done.stdout, flags=re.MULTILINE)
    assert f"1. login: POST {site.url}/login → 200 OK\n" in shown
    for line in (
        "  > user=ada",
        "  < Set-Cookie: sid=s1",
        '  < {"token": "t-1", "items": [4, 5]}',
        "  token = t-1",
        "  items = [4,5]",
        "  passed: status 200",
        "   pause 10 ms",
        "   for_each: 2 entries",
        "  > Cookie: sid=s1",
        "  > X-Token: t-1",
        f"5. away: redirected to GET {site.url}/home → 200 OK",
        "passed: 1 of 1",
    ):
        assert f"{line}\n" in shown
    assert "tiny: starting the external stack" in done.stderr


def test_cookies_that_later_requests_lack_are_named(cli, site):
    steps = ({"request": {"name": "set", "path": "/cookies"}}, {"request": {"name": "next", "path": "/home"}})
    done = run(cli, site, load=scenario(*steps))

    assert done.returncode == 0, done.stdout + done.stderr
    assert b"Cookie: c=1\r\n" in site.requests[-1]
    assert "  the cookie a is not kept: its domain other.example is not that of 127.0.0.1\n" in done.stdout
    assert "  the cookie b is not sent: it is Secure, and the service is reached by http\n" in done.stdout
    assert "the cookie c" not in done.stdout


def test_a_failed_step_ends_the_scenario_and_says_what_to_do(cli, site):
    page = {"request": {"name": "page", "path": "/gone"}}
    done = run(
        cli, site, "--quiet", load=scenario(LOGIN, page, {"request": {"name": "never", "path": "/never"}})
    )

    assert done.returncode == 99
    assert site.paths == ["/login", "/gone"]
    assert "1. login" not in done.stdout
    assert "2. page: GET" in done.stdout
    assert "  < no such page\n  failed: the status is 404, and expect.status accepts 200\n" in done.stdout
    assert "hint: check load.scenarios[buy][page].path" in done.stdout
    assert "failed: 1 of 1: tiny · scenario buy\n" in done.stdout


FAILING = {
    "extract": (
        [{**LOGIN, "extract": {"csrf": {"regex": "csrf=(.*)"}}}],
        "failed: `csrf` not found in the response to login\n",
    ),
    "foreign redirect": (
        [{"request": {"name": "out", "path": "/foreign", "follow_redirects": 5}}],
        "failed: the redirect cannot be followed: the host other.example is neither the target's nor in",
    ),
    "too many redirects": (
        [{"request": {"name": "out", "path": "/away"}}],
        "set follow_redirects of the step",
    ),
    "foreign place": (
        [
            {
                "request": {"name": "out", "path": "/foreign", "expect": {"status": [302]}},
                "extract": {"place": {"header": "Location"}},
            },
            {"request": {"name": "there", "url": "${place}"}},
        ],
        "2. there: not sent\n  failed: the URL of there cannot be requested: the host other.example is",
    ),
    "body": (
        [{"request": {"name": "login", "path": "/login", "expect": {"json": {"$.token": "other"}}}}],
        'says: $.token is "t-1"; expect.json requires it to be "other"',
    ),
}


def test_what_fails_is_named_and_the_other_scenarios_are_tried(cli, site):
    scenarios = [{"name": name.replace(" ", "-"), "steps": steps} for name, (steps, _) in FAILING.items()]
    done = run(cli, site, load={"scenarios": scenarios})

    assert done.returncode == 99
    for _, message in FAILING.values():
        assert message in done.stdout
    assert "failed: 5 of 5: " in done.stdout


def test_each_request_of_a_mix_is_sent_once_and_shown_within_bounds(cli, site, monkeypatch):
    monkeypatch.setenv("SECRET_OF_TEST", "my-own-secret")
    requests = [
        {"name": "hostile", "path": "/hostile", "headers": {"Authorization": "Bearer ${key}"}},
        {"name": "picture", "path": "/picture"},
        {"name": "long", "path": "/long"},
    ]
    load = {"variables": {"key": {"env": "SECRET_OF_TEST"}}, "requests": requests}
    done = run(cli, site, load=load, stages=[{"rps": 10, "duration": "1s"}])

    assert done.returncode == 0
    assert site.paths == ["/hostile", "/picture", "/long"]
    assert b"Authorization: Bearer my-own-secret" in site.requests[0]
    assert "my-own-secret" not in done.stdout + done.stderr
    assert "  > Authorization: Bearer [SECRET_OF_TEST]\n" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout
    assert "  < (256 bytes that are no text)\n" in done.stdout
    assert done.stdout.count("line of text") == 40
    assert "--full shows them" in done.stdout
    assert "passed: 3 of 3\n" in done.stdout


def test_every_branch_is_tried_and_what_is_not_reached_is_named(cli, site):
    def step(name, **more):
        return {"request": {"name": name, "path": f"/{name}"}, **more}

    optional = {"x": {"regex": "none", "optional": True}}
    steps = (
        {"choose": [{"weight": 1000, "steps": [step("usual")]}, {"steps": [step("rare", extract=optional)]}]},
        {"probability": "0.1%", "steps": [step("seldom")]},
        step("last", extract=optional),
        {"if": {"x": "never"}, "steps": [step("never")]},
    )
    done = run(cli, site, load=scenario(*steps))

    assert done.returncode == 0
    assert site.paths == ["/usual", "/seldom", "/last", "/rare", "/seldom", "/last"]
    assert "not tried, because their conditions did not hold: buy/never\n" in done.stdout
    assert "passed: 2 of 2\n" in done.stdout


def test_what_is_repeated_is_shown_in_one_line_each(cli, site):
    steps = {"repeat": 600, "steps": [{"request": {"name": "home", "path": "/"}}]}
    done = run(cli, site, "--no-pauses", load=scenario(steps))

    assert done.returncode == 0
    assert len(site.requests) == 600
    assert done.stdout.count("Host:") == 2
    assert "500. home" in done.stdout
    assert "501. home" not in done.stdout
    assert "further requests are shown only if they fail" in done.stdout


def test_only_some_are_tried_and_an_unknown_name_is_refused(cli, site):
    requests = [{"name": name, "path": f"/{name}"} for name in ("search", "order")]
    stages = [{"rps": 10, "duration": "1s"}]

    assert run(cli, site, "--only", "order", load={"requests": requests}, stages=stages).returncode == 0
    assert site.paths == ["/order"]
    done = run(cli, site, "--only", "ordre", load={"requests": requests}, stages=stages)
    assert done.returncode == 2
    assert "there is no scenario or request 'ordre' in the specification" in done.stderr
    assert "did you mean 'order'?" in done.stderr


def test_hooks_run_around_and_a_signal_removes_everything(cli):
    hooks = {
        "setup": [{"run": ["sh", "-c", "echo setup > log"]}],
        "teardown": [{"run": ["sh", "-c", "echo teardown >> log"]}],
    }
    load = scenario({"request": {"name": "home", "path": "/"}}, {"pause": "1h"})
    process = cli.start("try", cli.write(load=load, stages=STAGES, hooks=hooks))
    deadline = time.monotonic() + 30
    shown = ""
    while "pause" not in shown and time.monotonic() < deadline:
        shown = process.stdout.readline()
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=30)

    assert process.returncode == -signal.SIGTERM
    assert (cli.folder / "log").read_text() == "setup\nteardown\n"
    assert leftovers(cli.folder) == []


def test_a_system_that_does_not_start_is_no_failed_check(cli):
    app = {"command": app_command("exit"), "ready_within": "5s"}
    spec = cli.write(topology={"kind": "process", "app": app})
    assert yaml.safe_load(spec.read_text())["load"]["request"]
    done = cli.in_process("try", spec)

    assert done.returncode == 3
    assert "error: " in done.stderr
