"""Worker processes stay from stage to stage, and none stays behind."""

import os
import signal
from pathlib import Path

import pytest
import trio

from runner.core.endpoint import Endpoint
from runner.experiment.model import Load, Stage
from runner.load.builtin import offer, worker_pool
from runner.load.engine import LoadOrder
from tests.servers.scripted import scripted

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class Stages:
    """Stages of one pool."""

    def __init__(self, port, pool):
        self.port, self.pool = port, pool
        self.pids = []

    async def run(self, *, rps=100, duration=0.1, **load):
        """Offer one; returns its facts."""
        pids = []
        self.pids.append(pids)
        endpoint = Endpoint("127.0.0.1", self.port)
        order = LoadOrder(endpoint, Load(**load), Stage(rps=rps, duration=f"{duration}s"), pool=self.pool)
        return await offer(order, on_spawn=pids.append, on_second=lambda _: None)


@pytest.fixture
async def stages():
    with scripted(lambda client, _: client.sendall(OK)) as port:
        async with worker_pool() as pool:
            yield Stages(port, pool)


def succeeded(facts) -> int:
    return sum(second.succeeded for second in facts.seconds)


async def test_the_next_stage_uses_the_same_processes(stages):
    for _ in range(3):
        facts = await stages.run(workers=2)
        assert (facts.planned, succeeded(facts), facts.lost_workers) == (10, 10, ())

    assert len(stages.pids[0]) == 2
    assert {frozenset(pids) for pids in stages.pids} == {frozenset(stages.pids[0])}


async def test_a_stage_takes_only_as_many_as_it_needs(stages):
    await stages.run(workers=2)
    await stages.run(workers=1)
    await stages.run(workers=3)

    assert set(stages.pids[1]) < set(stages.pids[0]) < set(stages.pids[2])


async def test_a_process_that_ended_between_two_stages_is_replaced(stages):
    await stages.run()
    os.kill(stages.pids[0][0], signal.SIGKILL)
    os.waitid(os.P_PID, stages.pids[0][0], os.WEXITED | os.WNOWAIT)

    assert succeeded(await stages.run()) == 10
    assert stages.pids[0] != stages.pids[1]


async def test_a_process_that_was_lost_in_a_stage_is_not_used_again(stages):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: stages.run(duration=60))
        await trio.sleep(1)  # it may be ended at any time of the stage
        os.kill(stages.pids[0][0], signal.SIGKILL)

    assert succeeded(await stages.run()) == 10
    assert stages.pids[0] != stages.pids[1]


async def test_the_processes_of_a_cancelled_stage_end_at_once(stages):
    with trio.move_on_after(0.5):
        await stages.run(duration=60)

    assert not Path(f"/proc/{stages.pids[0][0]}").exists()


async def test_a_process_in_the_middle_of_a_cancelled_stage_is_killed():
    async with worker_pool() as pool:
        with trio.CancelScope() as scope:
            async with pool.take(1, lambda _: None) as (process,):
                scope.cancel()
                await trio.sleep_forever()

    assert process.returncode == -signal.SIGKILL


async def test_no_process_is_left_when_the_pool_is_closed():
    with scripted(lambda client, _: client.sendall(OK)) as port:
        async with worker_pool() as pool:
            stages = Stages(port, pool)
            await stages.run(workers=2)
            assert all(Path(f"/proc/{pid}").exists() for pid in stages.pids[0])

    assert not any(Path(f"/proc/{pid}").exists() for pid in stages.pids[0])


async def test_each_stage_may_have_other_processors_and_another_request(stages):
    await stages.run(cpus=[0])
    assert os.sched_getaffinity(stages.pids[0][0]) == {0}

    await stages.run(connection="new", request={"method": "HEAD"})
    assert os.sched_getaffinity(stages.pids[1][0]) == os.sched_getaffinity(0)
