"""What k6 offered and what came back, beside what the server saw."""

import os
import time
from pathlib import Path

import pytest
import trio

from runner.load.k6.binary import which_k6
from tests.load.k6_stage import Run, offer, order
from tests.servers.by_path import MIX, Seen, server_by_path, unanswered

pytestmark = [
    pytest.mark.k6,
    pytest.mark.skipif(which_k6() is None and os.environ.get("CI") != "true", reason="k6 is not installed"),
]

STATISTICS = {"mean", "p50", "p90", "p95", "p99", "p999", "max"}


@pytest.fixture
def server():
    with server_by_path() as seen:
        yield seen


def adds_up(run: Run) -> bool:
    answered = run.total("succeeded") + sum(run.failures.values())
    scheduled = run.total("sent") + run.total("dropped")
    return answered == run.total("sent") and scheduled == run.total("scheduled")


async def test_the_server_saw_exactly_the_warm_up_and_what_was_sent(server: Seen):
    run = await offer(order(server.port, rps=200, warmup=0.5, duration=1.5))

    assert server.paths["/good"] == 100 + 300
    assert run.facts.planned == run.total("scheduled") == run.total("sent") == run.total("succeeded") == 300
    assert run.facts.complete
    assert run.facts.lost_workers == ()
    assert run.failures == {}
    assert abs(run.completed_in_window(2) - 300) <= 10
    assert [second.index for second in run.facts.seconds if 0 <= second.index < 2] == [0, 1]


async def test_latencies_are_stated_and_what_k6_cannot_know_is_not(server: Seen):
    run = await offer(order(server.port, path="/delay/50", rps=40, connection="new"))
    stated = run.facts.stated_ms

    assert set(stated["duration"]) == set(stated["connect"]) == STATISTICS
    assert 50 <= stated["duration"]["p50"] <= stated["duration"]["p999"] <= stated["duration"]["max"]
    assert 0 < stated["connect"]["p50"] < 50
    assert stated["response_time"] is None
    assert stated["dispatch_delay"] is None
    assert all(not second.duration.count for second in run.facts.seconds)
    assert any("not known" in note for note in run.facts.notes)


@pytest.mark.parametrize("connection", ["new", "keep-alive"])
async def test_a_connection_serves_one_request_or_a_virtual_user(server: Seen, connection: str):
    run = await offer(order(server.port, connection=connection, max_in_flight=5))

    assert run.total("sent") == len(server.requests) == 100
    assert server.connections == (100 if connection == "new" else 5)


async def test_every_kind_of_failure_is_counted_as_the_server_caused_it(server: Seen):
    run = await offer(
        order(
            server.port, path="/mix", rps=80, connection="new", timeout=0.3, expect={"body_contains": "ell"}
        )
    )
    caused = {kind: count for kind, count in server.served.items() if kind != "good"}

    assert set(caused) == set(MIX) - {"good"}
    assert run.failures == caused
    assert run.total("succeeded") == server.served["good"] == 20
    assert adds_up(run)


async def test_nobody_listening_is_a_refused_connection():
    run = await offer(order(1, rps=20))

    assert run.failures == {"connect_refused": 20}
    assert run.facts.stated_ms["duration"] == dict.fromkeys(STATISTICS)
    assert adds_up(run)


async def test_a_full_accept_queue_is_a_connection_that_timed_out():
    with unanswered() as port:
        run = await offer(order(port, rps=10, timeout=0.3))

    assert run.failures == {"connect_timeout": 10}


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        ("ulimit -n 20", "no_fd"),
        ("[ $1 = run ] && set -- $@ --local-ips 192.0.2.1", "no_port"),
    ],
)
async def test_a_local_shortage_is_told_from_the_servers_faults(
    server: Seen, first: str, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    script = tmp_path / "k6"
    script.write_text(f"#!/bin/bash\n{first}\nexec {which_k6()} $@\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    run = await offer(order(server.port, path="/delay/300", rps=80, connection="new"))

    assert set(run.failures) == {kind}
    assert run.failures[kind] + run.total("succeeded") == run.total("sent") == 80
    assert run.total("succeeded") == len(server.requests)


async def test_what_finds_no_free_virtual_user_is_dropped(server: Seen):
    run = await offer(order(server.port, path="/delay/200", rps=100, warmup=0.5, max_in_flight=4))

    assert run.facts.planned == run.total("scheduled") == 100
    assert 8 <= run.total("sent") <= 24
    assert run.total("dropped") == 100 - run.total("sent")
    assert run.facts.lost_workers == ()
    assert adds_up(run)


async def test_an_answer_after_the_windows_end_is_good_but_not_completed_in_it(server: Seen):
    run = await offer(order(server.port, path="/delay/400", rps=50))
    drain = run.facts.seconds[-1]

    assert run.total("succeeded") == 50
    assert drain.index == 1
    assert 10 <= drain.completed == drain.succeeded <= 30
    assert run.completed_in_window(1) == 50 - drain.completed


async def test_a_warm_up_request_answered_in_the_window_completes_in_it(server: Seen):
    run = await offer(order(server.port, path="/delay/400", rps=50, warmup=1.0))

    assert run.total("succeeded") == 50
    assert 40 <= run.completed_in_window(1) <= 60
    assert run.completed_in_window(1) > 50 - run.facts.seconds[-1].completed


async def test_the_request_arrives_as_the_specification_writes_it(server: Seen):
    nasty = "`${1}` \"'</script>\\ \u2028 é \n {{ }} %"
    request = {
        "method": "POST",
        "body": nasty,
        "headers": {"X-Text": 'a"b\\`${c}', "Content-Type": "text/x", "Host": "a.example"},
    }
    run = await offer(order(server.port, rps=10, request=request, expect={"body_contains": "hello"}))
    head, body = server.requests[-1]

    assert run.total("succeeded") == len(server.requests) == 10
    assert body.decode() == nasty
    assert head.startswith(b"POST /good HTTP/1.1\r\n")
    assert {b'X-Text: a"b\\`${c}', b"Content-Type: text/x", b"Host: a.example"} <= set(head.split(b"\r\n"))
    assert b"User-Agent: loadproof" in head


async def test_a_redirect_is_an_answer_and_is_not_followed(server: Seen):
    run = await offer(order(server.port, path="/elsewhere", rps=20, expect={"status": (302,)}))

    assert run.total("succeeded") == server.paths["/elsewhere"] == 20
    assert server.paths["/good"] == 0
    assert not any(b"cookie" in head.lower() for head, _ in server.requests)


async def test_a_rate_below_one_a_second_is_kept(server: Seen):
    run = await offer(order(server.port, rps=2.5, duration=1.0))

    assert run.facts.planned == run.total("sent") == len(server.requests) == 3


async def test_the_users_own_k6_settings_and_proxies_change_nothing(
    server: Seen, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("K6_DURATION", "60s")
    monkeypatch.setenv("K6_VUS", "3")
    monkeypatch.setenv("K6_NO_CONNECTION_REUSE", "true")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    run = await offer(order(server.port, rps=20, max_in_flight=2))

    assert run.total("succeeded") == 20
    assert server.connections == 2


async def test_the_window_is_announced_before_the_first_arrival_and_kept(server: Seen):
    async def look(run: Run) -> None:
        assert not server.requests
        ahead_s = (run.started.window.start_ns - time.monotonic_ns()) / 1e9
        assert 0 < ahead_s <= 0.1
        await trio.sleep(ahead_s + 0.3)
        assert server.requests

    run = await offer(order(server.port, warmup=0.5), look)
    window = run.started.window

    assert (window.measure_ns - window.start_ns, window.end_ns - window.measure_ns) == (500_000_000, 10**9)
    assert run.started.pids == tuple(run.spawned)


async def test_seconds_are_told_while_it_runs_and_add_up_to_the_facts(server: Seen):
    early: list[int] = []

    async def look(run: Run) -> None:
        await trio.sleep(2.6)
        early.extend(second.index for second in run.told)

    run = await offer(order(server.port, rps=50, warmup=1.0, duration=2.0), look)

    assert early == [-1, 0]
    assert sum(second.succeeded for second in run.told) == run.total("succeeded") == 100
    assert [second.index for second in run.told] == [second.index for second in run.facts.seconds]
    assert 40 <= run.told[0].completed <= 60


async def test_k6_carries_the_runs_mark_and_listens_on_loopback_only(
    server: Seen, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LOADPROOF_RUN", "run-7")

    async def look(run: Run) -> None:
        process = Path("/proc") / str(run.spawned[0])
        assert b"LOADPROOF_RUN=run-7" in process.joinpath("environ").read_bytes().split(b"\0")
        assert b"--no-usage-report" in process.joinpath("cmdline").read_bytes().split(b"\0")
        assert os.getsid(run.spawned[0]) == run.spawned[0]

    await offer(order(server.port, rps=10), look)
