"""Generator processes on nodes are used like those on this machine, and their schedule is exact."""

import os
import signal
import time

import pytest
import trio

from runner.cluster import remote_worker
from runner.cluster.errors import AgentFailed
from runner.cluster.remote_pool import RemoteWorkerPool
from runner.core.units import NS_PER_S
from runner.load.merge import Collector
from runner.load.messages import WorkerEnd, WorkerReady, decode, decode_progress
from runner.load.worker_order import WorkerStart
from tests.cluster.conftest import CHATTY, opened
from tests.cluster.local_placer import NO_TIME_NAMESPACES, LocalPlacer
from tests.load.orders import order
from tests.servers.scripted import scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def in_turn(count):
    return [("node-1", "node-2")[index % 2] for index in range(count)]


async def test_a_process_gets_lines_and_returns_lines(cluster):
    (worker,) = await cluster.open_workers("node-1", 1, module=CHATTY)
    await worker.write_line(b'say {"a": 1.50}\nsay no JSON\n')

    assert [await worker.read_line(), await worker.read_line()] == [b'{"a": 1.50}', b"no JSON"]
    await worker.write_line(b"exit 3\n")
    assert await worker.read_line() is None
    assert (await worker.wait(), worker.returncode, worker.node) == (3, 3, "node-1")
    with pytest.raises(trio.BrokenResourceError):
        await worker.write_line(b"say 1\n")


async def test_a_long_line_arrives_whole(cluster):
    text = "x" * 3_000_000
    (worker,) = await cluster.open_workers("node-2", 1, module=CHATTY)
    await worker.write_line(f'say "{text}"\n'.encode())

    assert await worker.read_line() == f'"{text}"'.encode()
    await worker.aclose()
    assert worker.returncode == 0


async def test_a_process_that_is_killed_on_its_node_has_ended_here(cluster):
    (worker,) = await cluster.open_workers("node-1", 1, module=CHATTY)
    os.kill(worker.pid, signal.SIGKILL)

    assert await worker.read_line() is None
    assert worker.returncode == -signal.SIGKILL


async def test_a_module_that_agents_do_not_know_is_refused(cluster):
    with pytest.raises(
        AgentFailed, match=r"node-1: http\.server does not run: this agent does not start http\.server"
    ):
        await cluster.open_workers("node-1", 2, module="http.server")


async def test_lines_that_nobody_reads_end_the_agent_and_not_the_runner(cluster, monkeypatch):
    monkeypatch.setattr(remote_worker, "MOST_UNREAD_BYTES", 2**20)
    (worker,) = await cluster.open_workers("node-1", 1, module=CHATTY)
    for _ in range(3):
        await worker.write_line(b'say "%s"\n' % (b"x" * 500_000))
    lost = await cluster.wait_lost()

    assert lost.reason.startswith(
        "it sent what the runner cannot take: more than 1 MiB of a worker were not read"
    )
    assert (await cluster.probe("node-2", "127.0.0.1", 1, within=10)).error == "Connection refused"


async def test_a_pool_uses_its_processes_again_and_ends_them(cluster):
    async with RemoteWorkerPool(cluster, in_turn, module=CHATTY) as pool:
        async with pool.take(3, _never) as workers:
            first = [worker.pid for worker in workers]
            assert [worker.node for worker in workers] == ["node-1", "node-2", "node-1"]
            for worker in workers[:2]:
                worker.waits = True
        async with pool.take(2, _never) as workers:
            assert [worker.pid for worker in workers] == first[:2]
            assert not any(worker.waits for worker in workers)
            os.kill(workers[0].pid, signal.SIGKILL)
            await workers[0].wait()
            for worker in workers:
                worker.waits = True
        async with pool.take(2, _never) as workers:
            assert workers[0].pid not in first
            assert workers[1].pid == first[1]
            last = [worker.pid for worker in workers]
    assert not any(os.path.exists(f"/proc/{pid}") for pid in (*first, *last))  # noqa: PTH110


def _never(_pid):
    raise AssertionError("the watchdog of this machine cannot end processes of others")


async def test_a_stage_from_nodes_with_other_clocks_is_exact():
    """Counts equal the schedule, and the stated error of each clock holds."""
    if NO_TIME_NAMESPACES and os.environ.get("CI") != "true":
        pytest.skip("this user cannot make time name spaces")
    placer = LocalPlacer({"node-1": 1_000, "node-2": 5_000}, hub_skew=300)
    with scripted(lambda client, _: client.sendall(OK)) as port:
        async with opened(placer) as cluster, RemoteWorkerPool(cluster, in_turn) as pool:
            clocks = await cluster.clocks()
            async with pool.take(2, _never) as workers:
                seconds = await offer(workers, port)
    await placer.remove_all()

    for node, clock in clocks.items():
        true_ns = placer.skews[node] * NS_PER_S
        assert abs(clock.offset_ns - true_ns) <= clock.error_ns + 50_000
        assert (
            abs(clock.offset_ns - clock.hub_offset_ns - (true_ns - 300 * NS_PER_S))
            <= clock.node_error_ns + 50_000
        )
    assert [second.scheduled for second in seconds][:2] == [200, 200]
    assert sum(second.succeeded for second in seconds) == 400
    assert max(second.lateness.max_ns for second in seconds) < 100 * NS_PER_S  # not by another clock


async def offer(workers, port):
    """Let each worker offer its part of 200 requests a second for 2 s; returns the merged seconds."""
    for index, worker in enumerate(workers):
        part = order(port, rate=200.0, duration=2.0, worker=index, workers=len(workers), max_in_flight=1000)
        await worker.write_line(part.to_json())
    for worker in workers:
        decode(await worker.read_line(), WorkerReady)
    collector, seconds = Collector(len(workers)), []
    start_ns = time.monotonic_ns() + NS_PER_S

    async def follow(index, worker):
        await worker.write_line(WorkerStart(worker.to_local_ns(start_ns)).to_json())
        while not isinstance(message := decode_progress(await worker.read_line()), WorkerEnd):
            seconds.extend(collector.add(index, message))
        seconds.extend(collector.end(index))

    async with trio.open_nursery() as nursery:
        for index, worker in enumerate(workers):
            nursery.start_soon(follow, index, worker)
    return seconds
