"""The agent of the hub's node is a process beside the hub: it joins, and is lost and replaced like others."""

import os
import signal

import pytest
import trio

from runner.cluster.errors import AgentFailed
from tests.cluster.conftest import opened
from tests.cluster.local_placer import LocalPlacer


@pytest.fixture
async def placer():
    placer = LocalPlacer({"node-1": 0, "node-2": 0}, own_node="node-1")
    yield placer
    await placer.remove_all()


async def _wait_gone(pid):
    with trio.fail_after(60):
        while os.path.exists(f"/proc/{pid}"):  # noqa: PTH110, ASYNC110
            await trio.sleep(0.05)


async def test_the_agent_beside_the_hub_is_placed_by_nobody_and_ends_with_the_hub(placer, capfd):
    async with opened(placer) as cluster:
        assert list(placer.processes) == ["agent-2"]
        assert set(await cluster.clocks()) == {"node-1", "node-2"}
        (worker,) = await cluster.open_workers("node-1", 1)
        pid = cluster.agents["node-1"].pid
        placer.signal("hub", signal.SIGKILL)
        await cluster.wait_hub_lost()
        await _wait_gone(worker.pid)
        await _wait_gone(pid)
    assert "the agent ends" not in capfd.readouterr().err  # the hub's last words are the last ones


async def test_a_killed_agent_beside_the_hub_is_explained_and_replaced_by_a_placed_one(placer):
    async with opened(placer) as cluster:
        os.kill(cluster.agents["node-1"].pid, signal.SIGKILL)
        lost = await cluster.wait_lost()
        assert lost.node == "node-1"
        assert lost.reason == "its connection ended; its program exited with -9: it was ended by SIGKILL"

        assert await cluster.bring_back() == ("node-1",)
        assert list(placer.processes) == ["agent-2", "agent-3"]
        assert set(await cluster.clocks()) == {"node-1", "node-2"}


async def test_a_stopped_agent_beside_the_hub_is_lost_and_ends_itself_when_it_runs_again(placer):
    async with opened(placer) as cluster:
        pid = cluster.agents["node-1"].pid
        os.kill(pid, signal.SIGSTOP)
        assert (await cluster.wait_lost()).reason == "silent for 3 s"
        os.kill(pid, signal.SIGCONT)
        await _wait_gone(pid)
        assert set(cluster.lost) == {"node-1"}


async def test_an_agent_beside_the_hub_that_ends_instead_of_joining_is_named(placer, monkeypatch):
    monkeypatch.setattr(placer, "hub_changes", {b'"nodes":["node-1",': b'"nodes":["node-3",'})
    with pytest.raises(AgentFailed, match=r"node-1 was lost at once: .* exited with 7: it could not join"):
        async with opened(placer):
            pass
