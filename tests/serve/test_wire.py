"""`runner serve` by the wire: what it refuses, how it ends, and what a hostile client or folder costs it."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import quote

import psutil
import pytest

from runner.serve.connections import MAX_CONNECTIONS
from tests.preloaded.client import BYTECODE, popen
from tests.serve.conftest import WITHIN_S, Served
from tests.serve.folders import add_run, highest_sustained


def raw(server, request, *, limit=100_000, within_s=WITHIN_S):
    """Send bytes; return what comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=within_s) as connection:
        connection.sendall(request)
        received = b""
        while len(received) < limit and (piece := connection.recv(65_536)):
            received += piece
    return received


def status(server, target, host="127.0.0.1", method="GET", more=""):
    request = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n"
    return int(raw(server, request.encode("latin-1")).split(b" ")[1])


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1:1234", 200),
        ("LocalHost", 200),
        ("[::1]:80", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("127.0.0.1:80@evil.example", 421),
        ("192.0.2.1", 421),
        ("", 421),
    ],
)
def test_it_answers_to_its_own_names_only(served, host, expected):
    assert status(served, "/", host) == expected


def test_two_host_headers_are_refused(served):
    assert status(served, "/", more="Host: evil.example\r\n") in {400, 421}


def test_every_response_has_the_headers_that_protect_it(served):
    for path in ("/", "/run/away", "/nowhere", "/static/serve.js"):
        headers = served.get(path).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy.replace("style-src 'self' 'unsafe-inline'", "")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers


def test_the_stream_of_a_run_that_has_ended_says_so_at_once_and_of_no_run_there_is_none(served):
    served.list_when_read()
    ended = served.get("/live-events/quickstart/run-00001")
    assert ended.headers["content-type"].startswith("text/event-stream")
    assert ended.text == ('event: state\ndata: {"state":"ended","report":"/run/quickstart/run-00001"}\n\n')
    assert status(served, "/live-events/broken.zip") == 404
    assert status(served, "/live-events/nowhere") == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_nothing_can_be_written(served, method):
    assert status(served, "/", method=method) == 405


@pytest.mark.parametrize(
    "target",
    [
        "/run/../../../etc/passwd",
        "/run/%2e%2e/%2e%2e/etc/passwd",
        "/run//etc/passwd",
        "/run/away/passwd",
        "/download/report.md/../../etc/passwd",
        "/download/results.json/away/passwd",
        "/download/journal.ndjson/capacity/run-00009",
        "/static/..%2fserver.py",
        "/static/../server.py",
        "/run/%00",
        "/run/" + "a" * 8000,
        "/run/capacity/run-00009/",
    ],
)
def test_no_address_leads_out_of_the_folder(served, target):
    served.list_when_read()

    answer = raw(served, f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())

    assert answer.split(b" ")[1] == b"404"
    assert b"root:" not in answer


def test_the_list_shows_everything_as_what_it_is_and_no_markup_of_a_run(served):
    text = served.list_when_read()

    for word in ("damaged", "does not verify", "interrupted", "link", "within-capacity", "app-cpu-limited"):
        assert word in text
    assert not any(markup in text for markup in ("<script>alert", "<b>&", "<img"))
    assert "\x1b" not in text


def test_every_entry_of_the_list_has_a_page(served):
    text = served.list_when_read()
    addresses = set(re.findall(r'href="(/run/[^"]*)"', text))
    assert len(addresses) >= 11

    shown = [address for address in addresses if "kept" not in address and "00022" not in address]
    answers = {address: served.get(address) for address in shown}

    assert {answer.status_code for answer in answers.values()} == {200}
    assert all(
        "<script>alert" not in answer.text and "<img src=x" not in answer.text for answer in answers.values()
    )
    assert "its bytes were changed" in answers["/run/broken.zip"].text
    assert "Links are not followed" in answers["/run/away"].text


def test_a_damaged_file_is_named_by_its_path_in_the_folder_and_there_is_advice(served):
    served.list_when_read()

    page = served.get("/run/shop/run-00022").text

    assert re.search(r"<p>shop/run-00022/journal.ndjson, line \d+: ", page)
    assert "to see the trials before it, remove this line" in page
    assert str(served.folder) not in page.partition("<main")[2]


def test_files_of_a_run_are_given_as_they_are_on_disk(served):
    served.list_when_read()
    run = "quickstart/run-00002"

    for name in ("results.json", "report.md"):
        answer = served.get(f"/download/{name}/{run}")
        assert answer.content == (served.folder / run / name).read_bytes()
        assert answer.headers["content-disposition"].startswith("attachment;")
    assert served.get(f"/download/timeseries/{run}").text.count("\n") > 10
    assert served.get("/download/results.json/kept.zip").json()["experiment"]["name"] == "quickstart"
    assert served.get("/download/report.md/pipe").status_code == 404


@pytest.mark.parametrize(
    "target",
    ["/download/results.json/quickstart/run-00002", "/live-events/quickstart/run-00001", "/", "/nowhere"],
)
def test_a_connection_that_the_client_wants_closed_ends_with_the_last_byte(served, target):
    served.list_when_read()
    request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()

    answer = raw(served, request, within_s=WITHIN_S / 3)  # it times out where the connection stays open

    assert b"\r\nconnection: close\r\n" in answer.lower()


def test_a_connection_serves_on_after_a_file(served):
    served.list_when_read()
    first = b"GET /download/report.md/quickstart/run-00002 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    second = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    answer = raw(served, first + second, within_s=WITHIN_S / 3)

    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.count(b"HTTP/1.1 404") == 1


def test_no_client_gets_http_2(served):
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
    upgrade = (
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
    )

    assert raw(served, preface, within_s=WITHIN_S / 3).startswith(b"HTTP/1.1 505 ")
    assert status(served, "/", more=upgrade) == 200


def test_a_page_links_to_the_files_of_its_run_that_there_are(served):
    served.list_when_read()
    answers = {}
    for run in ("quickstart/run-00002", "kept.zip"):
        links = re.findall(r'<a href="(/download/[^"]+)" download>', served.get(f"/run/{run}").text)
        answers |= {link: served.get(link).status_code for link in links}

    assert set(answers.values()) == {200}
    assert {
        f"/download/{kind}/kept.zip" for kind in ("report.md", "results.json", "archive", "timeseries")
    } <= set(answers)
    assert "/download/results.json/quickstart/run-00002" in answers


def test_two_runs_are_compared_and_others_are_not(served):
    served.list_when_read()
    ticked = ["run=quickstart/run-00001", "run=quickstart/run-00003"]

    compared = served.get(f"/compare?{'&'.join(ticked)}")
    assert (compared.status_code, "run-00003" in compared.text) == (200, True)
    assert served.get("/compare?run=capacity/run-00009").status_code == 400
    assert served.get("/compare?run=pipe&run=capacity/run-00009").status_code == 400
    other = served.get(f"/compare?{ticked[0]}&run=capacity/run-00009")
    assert (other.status_code, "Compare them nevertheless" in other.text) == (400, True)


def test_a_new_run_is_announced_and_listed(served):
    served.list_when_read()
    with socket.create_connection(("127.0.0.1", served.port), timeout=WITHIN_S) as stream:
        stream.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        reader = stream.makefile("rb")
        first = next(line for line in reader if line.startswith(b"data:"))
        add_run(served.folder, "docker-4k", 40)
        second = next(line for line in reader if line.startswith(b"data:"))

    assert second != first
    assert "docker-4k/run-00040" in served.list_when_read()


def test_clients_that_send_nonsense_do_not_end_the_server(served):
    upgrade = (
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n"
    )
    for request in (
        b"\x16\x03\x01" * 50,
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + upgrade + b"\r\ntrailing",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 50,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\nConnection: close\r\n\r\n",
    ):
        try:
            raw(served, request)
        except ConnectionError:
            continue  # it was closed while we sent
    assert served.get("/").status_code == 200


def test_clients_that_never_read_cost_little_memory_and_others_are_served(served):
    served.get("/static/vega.js")
    process = psutil.Process(served.process.pid)
    before = process.memory_info().rss
    stalled = []
    for _ in range(60):
        connection = socket.create_connection(("127.0.0.1", served.port))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /static/vega.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
        stalled.append(connection)

    assert served.get("/").status_code == 200
    grown = process.memory_info().rss - before
    for connection in stalled:
        connection.close()
    assert grown < 40 * 1024**2  # the file has 0.9 MB, of which 180 were asked for


def test_clients_that_never_finish_a_request_do_not_keep_others_out(served):
    silent = []
    for _ in range(MAX_CONNECTIONS + 20):
        silent.append(socket.create_connection(("127.0.0.1", served.port)))
        silent[-1].sendall(b"GET / HTTP/1.1\r\nHo")

    assert status(served, "/") == 200
    silent[0].settimeout(WITHIN_S)
    assert silent[0].recv(1) == b""
    last = silent[MAX_CONNECTIONS - 1]  # only as many are closed as there is need for
    last.sendall(b"st: localhost\r\nConnection: close\r\n\r\n")
    assert last.recv(15) == b"HTTP/1.1 200 \r\n"
    for connection in silent:
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_although_browsers_are_connected_and_do_not_read(tmp_path, cache, number):
    add_run(tmp_path)
    server = Served(tmp_path, cache)
    server.get("/static/page.css")
    connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(4)]
    for at, connection in enumerate(connections):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        path = b"/events" if at % 2 else b"/static/vega.js"
        connection.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.recv(100)

    assert server.end(number) == (-number, "")
    for connection in connections:
        connection.close()


def test_a_folder_that_is_deleted_while_it_is_served_is_said(tmp_path, cache):
    folder = tmp_path / "runs"
    add_run(folder)
    server = Served(folder, cache)
    try:
        server.list_when_read()
        shutil.rmtree(folder)
        deadline = time.monotonic() + WITHIN_S
        while "cannot read the folder" not in server.get("/").text:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert server.get("/run/quickstart/run-00000").status_code in {404, 422}
    finally:
        assert server.end()[1] == ""


def run_cli(*arguments):
    command = [sys.executable, "-m", "runner", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with popen(command, env=os.environ | BYTECODE, **pipes) as process:
        out, err = process.communicate(timeout=WITHIN_S)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def test_a_port_that_is_taken_is_said_before_anything_starts(served, tmp_path):
    result = run_cli("serve", str(tmp_path), "--port", str(served.port))

    assert (result.returncode, result.stdout) == (3, "")
    assert f"port {served.port} of 127.0.0.1 is in use" in result.stderr
    assert "--port" in result.stderr


@pytest.mark.parametrize("host", ["999.1.1.1", "192.0.2.1", "0.0.0.0"])
def test_only_a_server_that_others_reach_warns_of_that(served, tmp_path, host):
    result = run_cli("serve", str(tmp_path), "--host", host, "--port", str(served.port))

    assert (result.returncode, result.stdout) == (3 if host == "0.0.0.0" else 2, "")
    assert result.stderr.startswith("error: ")
    assert "password" not in result.stderr


def test_a_server_that_others_reach_warns_before_its_address(tmp_path, cache):
    server = Served(tmp_path, cache, "--host", "0.0.0.0")

    assert "everyone who reaches 0.0.0.0 can read these runs" in server.end()[1]


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path):
    result = run_cli("serve", str(tmp_path / "nowhere"))

    assert (result.returncode, "there is no folder" in result.stderr) == (2, True)


@pytest.mark.parametrize("command", ["serve", "runs"])
def test_a_file_is_no_folder(tmp_path, command):
    (tmp_path / "run.zip").write_bytes(b"PK")

    result = run_cli(command, str(tmp_path / "run.zip"))

    assert (result.returncode, result.stdout) == (2, "")
    assert f"{tmp_path}/run.zip is no folder" in result.stderr


def test_what_has_no_time_is_not_of_1970(tmp_path, monkeypatch, cache):
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "live.ndjson").write_text("{}")

    (row,) = json.loads(run_cli("runs", str(tmp_path), "--format", "json").stdout)
    table = run_cli("runs", str(tmp_path)).stdout

    assert (row["state"], row["started_at"]) == ("interrupted", "")
    assert "1970" not in table


def test_the_terminal_lists_the_same_runs(served, monkeypatch, cache):
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))

    table = run_cli("runs", str(served.folder), "--experiment", "capacity")
    rows = json.loads(run_cli("runs", str(served.folder), "--format", "json", "--limit", "3").stdout)

    row = table.stdout.splitlines()[1]
    assert row.split()[2:4] == ["capacity", "app-cpu-limited"]
    assert f"{highest_sustained('capacity'):,} RPS" in row
    assert len(rows) == 3
    everything = run_cli("runs", str(served.folder)).stdout
    assert "\x1b" not in everything
    assert quote("broken.zip") in everything
