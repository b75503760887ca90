"""The generator against servers that misbehave, each in one known way."""

import contextlib
import itertools
import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest
import trio

from runner.core import histogram
from runner.core.errors import EnvironmentLacks
from tests.servers.scripted import in_one_segment, scripted

pytestmark = pytest.mark.usefixtures("either_way")

HELLO = {"status": [200], "body_contains": "hello"}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def responds(*pieces: bytes, pause: float = 0.0, close: bool = False):
    def script(client: socket.socket, _: bytes) -> None:
        with in_one_segment(client) if close else contextlib.nullcontext():
            for piece in pieces:
                client.sendall(piece)
                time.sleep(pause)
            if close:
                client.shutdown(socket.SHUT_RDWR)

    return script


def resets(client: socket.socket, _: bytes) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
GOOD = {
    "a plain response": responds(OK),
    "byte by byte": responds(*[OK[i : i + 1] for i in range(len(OK))]),
    "chunked": responds(CHUNKED, b"2\r\nhe\r\n", b"3\r\nllo\r\n0\r\n\r\n"),
    "an interim response first": responds(b"HTTP/1.1 100 Continue\r\n\r\n", OK),
    "two interim responses in one piece": responds(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 2 + OK),
    "no length, ended by closing": responds(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", close=True),
    "HTTP/1.0": responds(b"HTTP/1.0 200 OK\r\n\r\nhello", close=True),
    "Connection: close in a keep-alive test": responds(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", close=True
    ),
    "closed after the response without notice": responds(OK, close=True),
    "garbage after the response": responds(OK + b"and garbage"),
    "folded header lines": responds(b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 5\r\n\r\nhello"),
    "a transfer coding beside a length": responds(
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    ),
    "a length twice": responds(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    "lines that end with LF alone": responds(b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"),
    "spaces behind the size of a chunk": responds(CHUNKED, b"5   \r\nhello\r\n0\r\n\r\n"),
    "another coding, ended by closing": responds(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello", close=True
    ),
    "a head of 64,000 bytes": responds(
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 64_000 + b"\r\nContent-Length: 5\r\n\r\nhello"
    ),
    "a body over many reads": responds(
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000005\r\n\r\n", b"x" * 1_000_000, b"hello"
    ),
}


def on_either_connection(cases):
    """Pair each case with both exchanges, one on new connections and one on kept ones, in turn."""
    pairs = itertools.product(cases.items(), ["compiled", "python"])
    connections = itertools.cycle(["new", "keep-alive", "keep-alive", "new"])
    return [
        pytest.param(way, connection, name, script, id=f"{name}-{connection}-{way}")
        for ((name, script), way), connection in zip(pairs, connections, strict=False)
    ]


@pytest.mark.parametrize(
    ("either_way", "connection", "form", "script"), on_either_connection(GOOD), indirect=["either_way"]
)
async def test_every_form_of_a_successful_response_is_a_success(run_load, script, connection, form):
    with scripted(script) as port:
        offered = await run_load(
            port, connection=connection, expect={"status": [200], "body_contains": "hello"}
        )

    assert offered.failures == {}, form
    assert offered.succeeded == 20
    assert histogram.merge(second.duration for second in offered.seconds).count == 20


BAD = {
    "bad_status": responds(b"HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nhello"),
    "bad_body": responds(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelpo"),
    "protocol": responds(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "closed_early": responds(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", close=True),
    "reset": resets,
    "timeout": responds(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"),
}


@pytest.mark.parametrize(
    ("either_way", "connection", "kind", "script"), on_either_connection(BAD), indirect=["either_way"]
)
async def test_every_failure_is_counted_by_its_kind(run_load, kind, script, connection):
    timeout = "500ms" if kind == "timeout" else "30s"
    with scripted(script) as port:
        offered = await run_load(port, connection=connection, timeout=timeout, expect=HELLO)

    assert offered.failures == {kind: 20}


async def test_the_reasons_why_responses_were_not_understood_are_counted(run_load):
    turns = iter(range(1000))

    def script(client, _):
        head = b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n" if next(turns) % 4 == 0 else b"SSH-2.0-OpenSSH_9.2\r\n"
        client.sendall(head)

    with scripted(script) as port:
        offered = await run_load(port)

    assert offered.failures == {"protocol": 20}
    assert (
        "20 protocol failures: no status line of HTTP/1 (15); a header line without a colon (5)"
    ) in offered.facts.notes


async def test_a_head_without_end_is_a_protocol_failure_and_needs_no_memory(run_load):
    flood = responds(b"HTTP/1.1 200 OK\r\n", *[b"X-Flood: " + b"x" * 1000 + b"\r\n"] * 400)
    with scripted(flood, once=True) as port:
        offered = await run_load(port, rps=20)

    assert set(offered.failures) <= {"protocol", "reset"}
    assert sum(offered.failures.values()) == 4


async def test_a_response_to_head_has_no_body(run_load):
    with scripted(responds(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")) as port:
        offered = await run_load(port, request={"method": "HEAD", "path": "/"})

    assert offered.succeeded == 20


async def test_a_refused_connection_is_counted_and_the_stage_goes_on(run_load):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    offered = await run_load(port)

    assert offered.failures == {"connect_refused": 20}


async def test_a_connection_that_is_never_accepted_times_out(run_load):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        offered = await run_load(listener.getsockname()[1], connection="new", timeout="500ms")

    assert set(offered.failures) == {"connect_timeout", "timeout"}


async def test_posted_bodies_and_headers_arrive_as_written(run_load):
    seen = []

    def script(client, request):
        seen.append(request)
        client.sendall(OK)

    body = "ü" * 3000
    with scripted(script) as port:
        await run_load(
            port,
            rps=10,
            request={"method": "POST", "path": "/a?b=c", "headers": {"X-One": "1"}, "body": body},
        )

    head, _, sent = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a?b=c HTTP/1.1\r\n")
    assert b"\r\nX-One: 1" in head
    assert sent.decode() == body


async def test_new_connections_carry_one_request_and_keep_alive_connections_are_reused(run_load):
    seen = []

    def script(client, _):
        seen.append(client.getpeername())
        client.sendall(OK)

    with scripted(script) as port:
        await run_load(port, connection="new")
        fresh = len(set(seen))
        seen.clear()
        await run_load(port, rps=20, duration=1.0, connection="keep-alive")

    assert fresh == 20
    assert len(set(seen)) < 10


async def test_ipv6_works(run_load):
    with scripted(responds(OK), family=socket.AF_INET6) as port:
        offered = await run_load(port, host="::1")

    assert offered.succeeded == 20


async def test_a_name_without_an_address_is_a_clear_error(run_load):
    with pytest.raises(EnvironmentLacks, match="no-such-host"):
        await run_load(80, host="no-such-host.invalid")


async def test_without_a_free_slot_a_due_request_is_dropped(run_load):
    with scripted(responds()) as port:
        offered = await run_load(port, max_in_flight=3, timeout="3s", rps=20, duration=0.4)

    assert (offered.sent, offered.dropped) == (3, 5)


async def test_queued_requests_are_sent_later_and_measured_from_their_due_time(run_load):
    with scripted(responds(OK, pause=0.05)) as port:
        offered = await run_load(port, max_in_flight=1, when_full="queue", rps=40, duration=0.5)

    response = histogram.merge(second.response_time for second in offered.seconds)
    assert offered.succeeded == 20
    assert response.max_ms > 300


async def test_a_wait_for_a_free_slot_is_recorded_apart_from_the_generators_lateness(run_load):
    with scripted(responds(OK, pause=0.05)) as port:
        offered = await run_load(
            port, max_in_flight=1, when_full="queue", rps=40, warmup=0.2, duration=0.5, workers=1
        )

    delay = histogram.merge(second.dispatch_delay for second in offered.seconds)
    lateness = histogram.merge(second.lateness for second in offered.seconds)
    assert delay.count == lateness.count == 20
    assert lateness.percentile_ms(50) < delay.percentile_ms(50) / 10


async def test_without_a_queue_lateness_is_the_dispatch_delay_and_recorded_once(run_load):
    with scripted(responds(OK)) as port:
        offered = await run_load(port)

    assert all(not second.lateness.counts for second in offered.seconds)


async def test_warm_up_requests_count_only_as_completed(run_load):
    with scripted(responds(OK)) as port:
        offered = await run_load(port, warmup=0.25, duration=0.25, rps=80)

    assert (offered.scheduled, offered.succeeded, offered.completed) == (20, 20, 40)
    when = {second.index for second in offered.seconds if second.completed}
    assert when - {1} == {-1, 0}  # a late response of the window may arrive after its end


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
async def test_several_workers_share_one_schedule(run_load, arrivals):
    with scripted(responds(OK)) as port:
        offered = await run_load(port, workers=3, rps=100, duration=0.5, arrivals=arrivals)

    assert offered.facts.workers == 3
    assert offered.succeeded == offered.facts.planned


async def test_a_killed_worker_is_named_and_its_requests_are_accounted_for(run_load):
    pids, reported = [], trio.Event()

    async def kill() -> None:
        await reported.wait()
        await trio.sleep(0.5)
        os.kill(pids[0], signal.SIGKILL)

    with scripted(responds(OK)) as port:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(kill)
            watch = {"on_spawn": pids.append, "on_second": lambda _: reported.set()}
            offered = await run_load(port, workers=2, rps=20, duration=3, **watch)

    assert offered.dropped > 0
    assert len(offered.facts.lost_workers) == 1
    assert "was ended by signal 9" in offered.facts.lost_workers[0]


async def test_a_worker_that_was_stopped_is_named_and_does_not_send_what_it_missed(run_load):
    pids, reported, seen_s = [], trio.Event(), []

    async def stop() -> None:
        await reported.wait()
        os.kill(pids[0], signal.SIGSTOP)
        await trio.sleep(1.7)
        os.kill(pids[0], signal.SIGCONT)

    def script(client, _):
        seen_s.append(time.monotonic())
        client.sendall(OK)

    with scripted(script) as port:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop)
            watch = {"on_spawn": pids.append, "on_second": lambda _: reported.set()}
            offered = await run_load(port, rps=100, duration=3, **watch)

    unsent = offered.facts.drops.too_late
    assert offered.dropped == unsent >= 120
    assert offered.succeeded == 300 - unsent
    assert f"; {unsent} of its 300 requests were too late to be sent" in offered.facts.lost_workers[0]
    # on a busy machine it may pause again for so short a time that it catches up
    assert most_within(0.1, seen_s) <= 110


def most_within(length_s, instants_s):
    return max(sum(begin <= instant < begin + length_s for instant in instants_s) for begin in instants_s)


async def test_a_cancelled_stage_leaves_no_worker(run_load):
    pids = []
    with scripted(responds(OK)) as port, trio.move_on_after(0.6):
        await run_load(port, duration=30, workers=2, on_spawn=pids.append)

    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.started_workers
async def test_responses_of_gigabytes_need_little_memory(run_load):
    def script(client, _):
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n")
        while True:
            client.sendall(bytes(1_000_000))

    with scripted(script) as port:
        offered = await run_load(port, rps=5, duration=0.4, timeout="1s")

    note = next(note for note in offered.facts.notes if "MiB" in note)
    assert offered.failures == {"timeout": 2}
    assert int(note.split(" MiB")[0].split()[-1]) <= 40


def in_turns(*scripts):
    """Return a script that uses the first script for a connection's first request, and so on."""
    requests = Counter()

    def script(client, request):
        name = client.getpeername()
        scripts[requests[name] % len(scripts)](client, request)
        requests[name] += 1

    return script


def closes(client, _):
    client.shutdown(socket.SHUT_RDWR)


async def test_a_request_that_is_not_idempotent_is_not_sent_again(run_load):
    seen = []

    def note(client, request):
        seen.append(request)
        closes(client, request)

    with scripted(in_turns(responds(OK), note)) as port:
        offered = await run_load(port, request={"method": "POST", "path": "/", "body": "once"})

    assert offered.failures == {"closed_early": len(seen)}
    assert offered.succeeded == 20 - len(seen)


async def test_a_new_connection_that_is_closed_is_always_a_failure(run_load):
    with scripted(closes) as port:
        offered = await run_load(port)

    assert offered.failures == {"closed_early": 20}


@pytest.mark.parametrize("connection", ["new", "keep-alive"])
async def test_a_response_after_the_timeout_is_no_success(run_load, connection):
    def slow(client, _):
        time.sleep(0.06)
        client.sendall(OK)

    with scripted(slow) as port:
        offered = await run_load(port, connection=connection, timeout="50ms", duration=0.2)

    assert offered.failures == {"timeout": 20}


async def test_a_request_larger_than_every_buffer_is_sent_completely(run_load):
    seen = []

    def script(client, request):
        seen.append(request.partition(b"\r\n\r\n")[2])
        client.sendall(OK)

    body = " ".join(map(str, range(1_200_000)))
    with scripted(script) as port:
        offered = await run_load(
            port, rps=5, duration=0.2, timeout="30s", request={"method": "PUT", "path": "/", "body": body}
        )

    assert offered.succeeded == 1
    assert seen == [body.encode()]


async def test_a_response_before_the_request_was_sent_completely_is_valid(run_load):
    listener = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        for _ in range(2):
            client, _ = listener.accept()
            client.recv(1000)
            client.sendall(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            held.append(client)

    held = []
    thread = threading.Thread(target=refuse)
    thread.start()
    offered = await run_load(
        listener.getsockname()[1],
        rps=5,
        duration=0.4,
        request={"method": "PUT", "path": "/", "body": "x" * 4_000_000},
    )
    thread.join()
    for sock in [listener, *held]:
        sock.close()

    assert offered.failures == {"bad_status": 2}


async def test_a_server_that_leaves_connections_open_is_noted(run_load):
    with scripted(responds(OK)) as port:
        offered = await run_load(port, connection="new", rps=20, duration=2.5)

    assert offered.succeeded == 50
    assert any("the generator had to close" in note for note in offered.facts.notes)


async def test_the_server_may_close_first(run_load):
    with scripted(responds(OK, close=True)) as port:
        offered = await run_load(port, connection="new")

    assert offered.succeeded == 20
    assert not any("had to close" in note for note in offered.facts.notes)


@pytest.mark.started_workers
async def test_a_lack_of_files_is_counted_and_the_limit_is_noted(run_load):
    def limit(pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (20, 20))

    with scripted(responds()) as port:
        offered = await run_load(port, on_spawn=limit, timeout="1s")

    assert set(offered.failures) == {"no_fd", "timeout"}
    assert any("may open 20 files" in note for note in offered.facts.notes)


async def test_processors_that_do_not_exist_are_a_clear_error(run_load):
    with pytest.raises(EnvironmentLacks, match="processor 4095"):
        await run_load(1, cpus=(4095,))


async def test_every_poisson_arrival_is_offered_at_any_quantum(run_load):
    with scripted(responds(OK)) as port:
        offered = await run_load(port, arrivals="poisson", rps=200, warmup=0.2, quantum="1ms")

    assert offered.succeeded == offered.facts.planned
    assert "requests were sent in bunches at most 1,000 µs wide" in offered.facts.notes


@pytest.mark.skipif(
    subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode != 0,
    reason="this host allows no network namespaces",
)
def test_a_lack_of_local_ports_is_counted():
    script = f"""
        ip link set lo up
        echo 40000 40009 > /proc/sys/net/ipv4/ip_local_port_range
        exec {sys.executable} -m tests.load.few_ports
    """
    done = subprocess.run(
        ["unshare", "-rn", "sh", "-ec", script], capture_output=True, text=True, check=False, timeout=30
    )

    assert json.loads(done.stdout or "null") == {"no_port": 10, "timeout": 10}, done.stderr


async def test_a_generator_that_was_not_compiled_is_noted(run_load, request):
    compiled = "compiled]" in request.node.name
    with scripted(responds(OK)) as port:
        offered = await run_load(port)

    assert compiled != any("not compiled" in note for note in offered.facts.notes)
