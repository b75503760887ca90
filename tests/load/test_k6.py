"""k6's counts compared with the server's."""

import itertools
import os
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio

from runner.core.load_facts import DropCauses
from runner.load.k6.binary import which_k6
from runner.load.response_sample import OTHER_STATUSES
from tests.load.k6_stage import Run, offer, offer_both, order
from tests.servers.by_path import MIX, Seen, full_accept_queue, server_by_path
from tests.servers.scripted import scripted

pytestmark = [
    pytest.mark.k6,
    pytest.mark.skipif(which_k6() is None and os.environ.get("CI") != "true", reason="k6 is not installed"),
]

STATISTICS = {"mean", "min", "p50", "p90", "p95", "p99", "p999", "max"}


HOSTILE = {
    "K6_DURATION": "60s",
    "K6_VUS": "3",
    "K6_NO_CONNECTION_REUSE": "false",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "LOADPROOF_RUN": "run-7",
}


@pytest.fixture
def server():
    with server_by_path() as seen:
        yield seen


@dataclass
class Calm:
    """One stage without faults: 1 s of warm-up, 2 s measured, 50/s, responses after 400 ms."""

    server: Seen
    run: Run = field(default_factory=Run)
    announced_ahead_s: float = 0.0
    requests_when_announced: int = -1
    reported_early: list[int] = field(default_factory=list)
    environ: list[bytes] = field(default_factory=list)
    cmdline: list[bytes] = field(default_factory=list)
    session: int = 0

    async def look(self, run: Run) -> None:
        self.requests_when_announced = len(self.server.requests)
        self.announced_ahead_s = (run.started.window.start_ns - time.monotonic_ns()) / 1e9
        process = Path("/proc") / str(run.spawned[0])
        self.environ = process.joinpath("environ").read_bytes().split(b"\0")
        self.cmdline = process.joinpath("cmdline").read_bytes().split(b"\0")
        self.session = os.getsid(run.spawned[0])
        while len(self.reported_early) < 2 and _is_running(process):
            self.reported_early = [second.index for second in run.reported]
            await trio.sleep(0.05)


def _is_running(process: Path) -> bool:
    with suppress(OSError):  # it has ended
        return bool(process.joinpath("cmdline").read_bytes())  # that of a zombie is empty
    return False


@pytest.fixture(scope="module")
def calm():
    with server_by_path() as seen, pytest.MonkeyPatch.context() as patch:
        for name, value in HOSTILE.items():
            patch.setenv(name, value)
        stage = Calm(seen)
        load = order(seen.port, path="/delay/400", rps=50, warmup=1.0, duration=2.0, connection="new")
        trio.run(offer, load, stage.look, stage.run)
        return stage


def adds_up(run: Run) -> bool:
    ended = run.total("succeeded") + sum(run.failures.values())
    scheduled = run.total("sent") + run.total("dropped")
    return ended == run.total("sent") and scheduled == run.total("scheduled")


def test_the_server_received_exactly_the_warm_up_and_the_sent_requests(calm: Calm):
    run = calm.run

    assert calm.server.paths["/delay/400"] == calm.server.connections == 50 + 100
    assert run.facts.planned == run.total("scheduled") == run.total("sent") == run.total("succeeded") == 100
    assert run.facts.complete
    assert run.facts.lost_workers == ()
    assert run.failures == {}


def test_the_clock_decides_what_completes_in_the_window(calm: Calm):
    last = calm.run.facts.seconds[-1]
    late = last.completed
    of_the_warm_up = calm.run.completed_in_window(2) - (100 - late)

    assert last.index == 2
    assert 10 <= late == last.succeeded <= 30
    assert 10 <= of_the_warm_up <= 30


def test_latencies_are_stated_except_those_that_k6_does_not_know(calm: Calm):
    stated = calm.run.facts.stated_ms

    assert set(stated["duration"]) == set(stated["connect"]) == STATISTICS
    assert 400 <= stated["duration"]["p50"] <= stated["duration"]["p999"] <= stated["duration"]["max"]
    assert 0 < stated["connect"]["p50"] < 400
    assert stated["response_time"] is None
    assert stated["dispatch_delay"] is None
    assert all(not second.duration.count for second in calm.run.facts.seconds)
    assert any("are unknown" in note for note in calm.run.facts.notes)


def test_the_window_is_announced_before_the_first_arrival(calm: Calm):
    window = calm.run.started.window

    assert calm.requests_when_announced == 0
    assert 0 < calm.announced_ahead_s <= 0.1
    assert (window.measure_ns - window.start_ns, window.end_ns - window.measure_ns) == (10**9, 2 * 10**9)
    assert calm.run.started.pids == tuple(calm.run.spawned)


def test_seconds_are_reported_while_k6_runs_and_add_up_to_the_facts(calm: Calm):
    reported = calm.run.reported

    assert calm.reported_early[:1] == [-1]  # the second one comes later on a busy machine
    assert [second.index for second in reported] == [second.index for second in calm.run.facts.seconds]
    assert sum(second.succeeded for second in reported) == sum(second.sent for second in reported) == 100
    assert 0 < reported[0].completed <= 40


def test_k6_gets_the_runs_variables_but_not_the_users_k6_settings_and_proxies(calm: Calm):
    assert b"LOADPROOF_RUN=run-7" in calm.environ
    assert not any(entry.startswith((b"K6_DURATION", b"K6_VUS", b"HTTP_PROXY")) for entry in calm.environ)
    assert {b"--no-usage-report", b"--paused"} <= set(calm.cmdline)
    assert calm.session == calm.run.spawned[0]


async def test_a_connection_carries_one_request_or_all_of_a_virtual_user(server: Seen):
    with server_by_path() as other:
        new, kept = await offer_both(
            order(server.port, connection="new", max_in_flight=5),
            order(other.port, connection="keep-alive", max_in_flight=5),
        )

        # a busy machine may drop some requests, because there are few virtual users
        assert new.total("sent") + new.total("dropped") == kept.total("sent") + kept.total("dropped") == 100
        assert new.total("sent") == len(server.requests) == server.connections > 5
        assert kept.total("sent") == len(other.requests) > 5 >= other.connections


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


async def test_a_connection_that_is_not_accepted_is_refused_or_times_out():
    with full_accept_queue() as port:
        refused, silent = await offer_both(order(1, rps=20), order(port, rps=10, timeout=0.3))

    assert refused.failures == {"connect_refused": 20}
    assert silent.failures == {"connect_timeout": 10}
    assert refused.facts.stated_ms["duration"] == dict.fromkeys(STATISTICS)
    assert adds_up(refused)


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        ("ulimit -n 20", "no_fd"),
        ("[ $1 = run ] && set -- $@ --local-ips 192.0.2.1", "no_port"),
    ],
)
async def test_a_local_shortage_is_distinguished_from_the_servers_faults(
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


async def test_a_request_without_a_free_virtual_user_is_dropped(server: Seen):
    run = await offer(order(server.port, path="/delay/200", rps=100, warmup=0.5, max_in_flight=4))

    assert run.facts.planned == run.total("scheduled") == 100
    assert 8 <= run.total("sent") <= 24
    assert run.total("dropped") == 100 - run.total("sent")
    assert run.facts.lost_workers == ()
    assert run.facts.drops == DropCauses()
    assert adds_up(run)


async def test_what_k6_drops_while_it_adds_virtual_users_is_its_own_fault(server: Seen):
    run = await offer(order(server.port, path="/delay/1500", rps=600, warmup=0.5))

    assert run.facts.drops.no_virtual_user == run.total("dropped") > 6
    assert any("still adding virtual users" in fault for fault in run.facts.lost_workers)
    assert adds_up(run)


async def test_the_request_arrives_as_the_specification_writes_it(server: Seen):
    nasty = "`${1}` \"'</script>\\ \u2028 é \n {{ }} %"
    request = {
        "method": "POST",
        "body": nasty.replace("$", "$$"),
        "headers": {"X-Text": 'a"b\\`$${c}', "Content-Type": "text/x", "Host": "a.example"},
    }
    run = await offer(order(server.port, rps=10, request=request, expect={"body_contains": "hello"}))
    head, body = server.requests[-1]

    assert run.total("succeeded") == len(server.requests) > 0  # k6 drops some where it gets no CPU
    assert body.decode() == nasty
    assert head.startswith(b"POST /good HTTP/1.1\r\n")
    assert {b'X-Text: a"b\\`${c}', b"Content-Type: text/x", b"Host: a.example"} <= set(head.split(b"\r\n"))
    assert b"User-Agent: loadproof" in head


async def test_a_redirect_is_a_response_and_is_not_followed(server: Seen):
    run = await offer(order(server.port, path="/elsewhere", rps=20, expect={"status": (302,)}))

    assert run.total("succeeded") == server.paths["/elsewhere"] > 0
    assert server.paths["/good"] == 0
    assert not any(b"cookie" in head.lower() for head, _ in server.requests)


async def test_a_fractional_rate_is_kept(server: Seen):
    run = await offer(order(server.port, rps=2.5, duration=1.0))

    assert run.facts.planned == run.total("sent") == len(server.requests) == 3


async def test_statuses_are_counted_one_by_one_where_k6_has_a_counter_for_them():
    codes = itertools.cycle([200, 302, 429, 418])

    def script(client, _request) -> None:
        client.sendall(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n" % next(codes))

    with scripted(script) as port:
        run = await offer(order(port, rps=80, duration=1.0, warmup=0.5))

    counts: Counter[int] = Counter()
    for second in run.facts.seconds:
        counts.update(second.statuses)
    assert set(counts) == {302, 429, OTHER_STATUSES}
    assert sum(counts.values()) == run.failures["bad_status"]
