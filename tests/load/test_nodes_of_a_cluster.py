"""Load from real agents behind a real hub, on loopback: schedule, files, losses."""

import os
import signal
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from runner.core.endpoint import Endpoint
from runner.core.rows import Format
from runner.experiment.model import Load, Stage
from runner.load.builtin import offer
from runner.load.cluster_processes import ClusterProcesses
from runner.load.engine import LoadOrder
from runner.load.inputs import Inputs, RowSource
from runner.load.node_files import NodeFiles
from runner.load.nodes import GeneratorNodes
from tests.cluster.conftest import opened
from tests.cluster.local_placer import NO_TIME_NAMESPACES, LocalPlacer
from tests.servers.scripted import scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def generators(*names):
    skews = {name: 0 if NO_TIME_NAMESPACES else 1_000 * number for number, name in enumerate(names)}
    placer = LocalPlacer(skews)
    try:
        async with opened(placer) as cluster, ClusterProcesses(cluster) as processes:
            site = GeneratorNodes(cluster, names, processes, NodeFiles(processes.open_keeper))
            yield site, placer
    finally:
        await placer.remove_all()


def order(port, site, *, rps=100, duration="2s", inputs=None, **load):
    stage = Stage(rps=rps, duration=duration)
    more = {"inputs": inputs} if inputs else {}
    return LoadOrder(Endpoint("127.0.0.1", port), Load(**load), stage, site=site, **more)


def total(facts, name):
    return sum(getattr(second, name) for second in facts.seconds)


async def test_two_stages_from_two_nodes_are_exact_and_use_the_same_processes():
    with scripted(lambda client, _: client.sendall(OK)) as port:
        async with generators("node-1", "node-2") as (site, _):
            pids = []
            for _ in range(2):
                facts = await offer(
                    order(port, site, duration="1s"), on_spawn=pytest.fail, on_second=lambda _: None
                )
                assert total(facts, "succeeded") == facts.planned == 100
                assert [node.planned for node in facts.nodes] == [50, 50]
                for node in facts.nodes:
                    assert 0 < node.start_error_ns <= node.clock.error_ns + abs(node.clock.drift_ns)
                async with site.processes.take(site.names) as workers:
                    pids.append([worker.pid for worker in workers])
                    for worker in workers:
                        worker.waits = True
            assert pids[0] == pids[1]


async def test_rows_of_a_file_are_brought_to_the_nodes_and_each_is_sent_once(tmp_path):
    rows = [f"{number}\n".encode() for number in range(50)]
    source = _rows(tmp_path, rows)
    seen = Counter()

    def script(client, request):
        seen[request.split(b"id=")[1].split(b" ")[0]] += 1
        client.sendall(OK)

    load = {
        "request": {"path": "/?id=${id}"},
        "variables": {"id": {"jsonl": "ids.jsonl", "order": "once"}},
    }
    with scripted(script) as port:
        async with generators("node-1", "node-2") as (site, _):
            stage = order(port, site, rps=50, duration="1s", inputs=Inputs(rows={"id": source}), **load)
            await offer(stage, on_spawn=pytest.fail, on_second=lambda _: None)

    assert seen == {row.strip(): 1 for row in rows}


def _rows(folder: Path, rows) -> RowSource:
    content, index = folder / "ids.jsonl", folder / "ids.index"
    content.write_bytes(b"".join(rows))
    offsets = [sum(map(len, rows[:number])) for number in range(len(rows) + 1)]
    index.write_bytes(b"".join(offset.to_bytes(8, "little") for offset in offsets))
    form: Format = "jsonl"
    return RowSource(form, "", (), str(content), content.stat().st_size, str(index), len(rows))


async def test_a_killed_agent_is_a_lost_generator_and_the_other_goes_on():
    with scripted(lambda client, _: client.sendall(OK)) as port:
        async with generators("node-1", "node-2") as (site, _):
            agent = site.cluster.agents["node-2"]

            def on_second(second):
                if second.index == 0:
                    os.kill(agent.pid, signal.SIGKILL)

            facts = await offer(order(port, site, duration="3s"), on_spawn=pytest.fail, on_second=on_second)

    first, second = facts.nodes
    assert (first.lost, first.scheduled) == ("", 150)
    assert second.lost
    assert second.not_offered == total(facts, "dropped") > 0
    assert total(facts, "scheduled") == facts.planned == 300


async def test_a_worker_that_was_stopped_on_a_node_drops_what_it_missed_and_the_node_is_named():
    reported = trio.Event()
    watch = {"on_spawn": pytest.fail, "on_second": lambda _: reported.set()}
    with scripted(lambda client, _: client.sendall(OK)) as port:
        async with generators("node-1", "node-2") as (site, _):
            stage = order(port, site, duration="3s")
            results = []

            async def run(*, task_status) -> None:
                results.append(await offer(stage, **watch, task_status=task_status))

            async with trio.open_nursery() as nursery:
                started = await nursery.start(run)
                (pid,) = started.on_nodes["node-2"].values()
                await reported.wait()
                os.kill(pid, signal.SIGSTOP)
                await trio.sleep(1.6)
                os.kill(pid, signal.SIGCONT)

    (facts,) = results
    first, second = facts.nodes
    assert facts.drops.too_late == total(facts, "dropped") >= 60
    assert total(facts, "scheduled") == facts.planned == 300
    assert first.longest_stall_s < 1.0 < second.longest_stall_s == facts.longest_stall_s
    assert facts.lost_workers[0].startswith("generator worker 2 on node-2 did not run for ")


async def test_workers_of_an_agent_that_stands_still_stop_sending_when_it_is_lost():
    seen = []

    def script(client, _):
        seen.append(1)
        client.sendall(OK)

    with scripted(script) as port:
        async with generators("node-1", "node-2") as (site, _):
            agent = site.cluster.agents["node-2"]

            def on_second(second):
                if second.index == 0:
                    os.kill(agent.pid, signal.SIGSTOP)

            facts = await offer(
                order(port, site, rps=40, duration="12s"), on_spawn=pytest.fail, on_second=on_second
            )
            answered = len(seen)
            os.kill(agent.pid, signal.SIGCONT)

    kept, lost = facts.nodes
    assert (kept.lost, lost.lost) == ("", "silent for 3 s")
    assert kept.scheduled == 240
    assert total(facts, "succeeded") <= answered < facts.planned
    assert answered - total(facts, "succeeded") <= lost.not_offered
    assert facts.drops.unknown_end == lost.not_offered > 0
    assert facts.drops.not_offered == 0  # its workers may have gone on
