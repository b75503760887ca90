"""The stream of a run in progress, by the wire."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from runner.cli.live_page import live_page, place_of
from runner.core.live import Note, RunEnds
from runner.observe.processes import start_ticks
from runner.store.live_file import LiveFile, own_process
from runner.store.run_names import LIVE
from tests.serve.live.records import Stream, beginning, second, stage_of, trial


@pytest.fixture
def watch():
    """Opens streams, and closes them when the test ends."""
    with ExitStack() as streams:
        yield lambda *how: streams.enter_context(closing(Stream(*how)))


@pytest.fixture
def served(tmp_path):
    """A folder whose page is served, and the sink that writes its records."""
    with live_page(tmp_path / "run", 0) as page:
        (tmp_path / "run").mkdir()
        yield page, LiveFile(tmp_path / "run")


def types(records):
    return [record["type"] for record in records]


def test_a_viewer_waits_for_a_run_that_has_not_begun_and_a_late_one_sees_all_of_it(served, watch):
    page, tell = served
    early = watch(page.url)
    early.until_state("waiting")

    for record in [beginning(), *stage_of(1, 3)]:
        tell(record)

    seen = early.until(lambda kind, data: kind == "records" and "trial_end" in types(data))
    late = watch(page.url)
    late_seen = late.until_state("running")
    expected = ["run", "trial", "second", "second", "second", "trial_end"]
    assert types(seen) == expected
    assert types(late_seen) == expected
    assert late.kinds[0] == "reset"


def test_a_viewer_that_comes_back_gets_only_what_it_missed(served, watch):
    page, tell = served
    for record in [beginning(), trial(), second(1)]:
        tell(record)
    first = watch(page.url)
    first.until_state("running")
    first.close()
    tell(second(2))

    again = watch(page.url, first.last_id)
    missed = again.until(lambda kind, data: kind == "records" and bool(data))

    assert [record["t_s"] for record in missed] == [2.0]
    assert "reset" not in again.kinds
    unknown = watch(page.url, "0badc0de-3")
    unknown.until_state("running")
    assert unknown.kinds[0] == "reset"


def test_damaged_hostile_and_half_written_lines_do_not_reach_a_viewer(served, watch):
    page, tell = served
    tell(beginning())
    with (page_folder := tell.folder / LIVE).open("ab") as file:
        file.write(b'garbage\n{"type": "other"}\n' + b"x" * 3_000_000 + b"\n")
        file.write(b'{"type": "note", "at_s": 1, "text": "a\\nb", "evil": "</script>"}\n')
        file.write(b'{"type": "note", "at_s": 1, "te')
    assert page_folder.stat().st_size > 3_000_000

    viewer = watch(page.url)
    seen = viewer.until_state("running")
    with (tell.folder / LIVE).open("ab") as file:
        file.write(b'xt": "whole"}\n')
    seen += viewer.until(lambda kind, data: kind == "records" and bool(data))

    assert [record.get("text") for record in seen] == [None, "a\nb", "whole"]
    assert all("evil" not in record for record in seen)


def test_viewers_that_never_read_cost_bounded_memory_and_the_others_go_on(served, watch):
    page, tell = served
    address = urlsplit(page.url)
    for record in [beginning(), trial()]:
        tell(record)
    watch(page.url).until_state("running")
    deaf = [socket.create_connection((address.hostname, address.port)) for _ in range(8)]
    for connection in deaf:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        events = address.path.replace("/live/", "/live-events/")
        connection.sendall(f"GET {events} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
    before = rss_bytes(page.pid)
    viewer = watch(page.url)
    viewer.until_state("running")

    for number in range(40_000):
        tell(Note(1.0, f"{number} " + "x" * 450))
    tell(Note(1.0, "the last one"))
    viewer.until(lambda kind, data: kind == "records" and data and data[-1].get("text") == "the last one")

    assert rss_bytes(page.pid) - before < 64 * 2**20
    for connection in deaf:
        connection.close()


def test_viewers_learn_that_a_runner_was_killed_and_that_its_run_goes_on(served, watch):
    page, tell = served
    runner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    identity = (runner.pid, start_ticks(runner.pid), *own_process()[2:])
    tell(beginning(identity))
    tell(trial())
    viewer = watch(page.url)
    viewer.until_state("running")

    runner.kill()
    viewer.until_state("died")  # also while its parent has not waited for it
    runner.wait()
    tell(beginning())
    records = viewer.until_state("running")

    assert types(records) == ["run"]


def test_a_run_without_results_ends_with_its_reason(served, watch):
    page, tell = served
    tell(beginning())
    tell(RunEnds(1.0, "failed", "port 80 is in use"))

    records = watch(page.url).until_state("failed")

    assert records[-1]["reason"] == "port 80 is in use"


def test_a_signal_ends_the_server_while_viewers_watch(served, watch):
    page, tell = served
    tell(beginning())
    viewer = watch(page.url)
    viewer.until_state("running")

    os.kill(page.pid, signal.SIGTERM)

    with pytest.raises((AssertionError, OSError)):
        viewer.until_state("died")


def test_only_the_run_that_is_awaited_has_a_page(served):
    page, _ = served
    address = urlsplit(page.url)
    for path in ("/live/other", "/live/../run", "/live/%2e%2e", "/live-events//etc"):
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.settimeout(60)
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 404")


def test_the_folder_that_is_served_is_that_of_all_reports_or_of_the_run_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert place_of(Path("reports/a/b")).path == "a/b"
    assert place_of(Path("reports/a/b")).folder == tmp_path / "reports"
    assert place_of(Path("reports")).path == ""
    assert place_of(Path("/elsewhere/run")).folder == Path("/elsewhere/run")


def rss_bytes(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("is_killed", [True, False])
def test_a_server_that_ends_before_the_run_is_told_of_once(tmp_path, is_killed):
    told = queue.SimpleQueue()
    with live_page(tmp_path / "run", 0) as page:
        page.tell_of_its_end(told.put)
        if is_killed:
            os.kill(page.pid, signal.SIGKILL)
            assert "the run goes on" in told.get(timeout=60)

    assert told.empty()
