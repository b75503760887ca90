"""Whoever is lost is named with the reason, those who are left go on, and nothing is left behind."""

import os
import signal

import msgspec
import pytest
import trio

from runner.cluster import comeback
from runner.cluster.errors import AgentFailed, HubLost
from runner.core.errors import StackFailed
from tests.cluster.conftest import CHATTY, opened, opened_here
from tests.cluster.local_placer import LocalPlacer

HUB_ENDED = "the hub on node-1 was lost: its connection ended"


@pytest.fixture
async def placer():
    placer = LocalPlacer({"node-1": 0, "node-2": 0})
    yield placer
    await placer.remove_all()


async def _explained(cluster, node, words):
    with trio.fail_after(60):
        while words not in cluster.lost[node].reason:  # noqa: ASYNC110
            await trio.sleep(0.05)


async def test_a_killed_agent_is_lost_and_the_other_goes_on(placer):
    async with opened(placer) as cluster:
        (worker,) = await cluster.open_workers("node-1", 1)
        placer.signal("agent-1", signal.SIGKILL)
        assert await worker.read_line() is None
        assert cluster.lost["node-1"].reason.startswith("its connection ended")
        assert (worker.returncode, worker.error) == (
            None,
            "the agent on node-1 is lost: its connection ended",
        )
        with pytest.raises(trio.BrokenResourceError):
            await worker.write_line(b"{}\n")
        await _explained(cluster, "node-1", "its connection ended; its program exited with -9")
        with pytest.raises(AgentFailed, match="node-1: the agent is lost: its connection ended"):
            await cluster.probe("node-1", "127.0.0.1", 1, within=1)
        assert set(await cluster.clocks()) == {"node-2"}
        assert (await cluster.probe("node-2", "127.0.0.1", 1, within=10)).error == "Connection refused"
        assert cluster.hub_lost == ""


async def test_a_stopped_agent_is_lost_after_three_seconds_and_ends_itself_when_it_runs_again(placer):
    async with opened(placer) as cluster:
        placer.signal("agent-2", signal.SIGSTOP)
        lost = await cluster.wait_lost()
        assert (lost.node, lost.reason) == ("node-2", "silent for 3 s")
        placer.signal("agent-2", signal.SIGCONT)
        with trio.fail_after(60):
            assert await placer.processes["agent-2"].wait() == 8
        assert set(cluster.lost) == {"node-2"}


async def test_a_lost_agent_is_replaced_and_works_again(placer):
    async with opened(placer) as cluster:
        assert await cluster.bring_back() == ()
        placer.signal("agent-2", signal.SIGKILL)
        await cluster.wait_lost()

        assert await cluster.bring_back() == ("node-2",)
        assert cluster.lost == {}
        assert set(await cluster.clocks()) == {"node-1", "node-2"}
        (worker,) = await cluster.open_workers("node-2", 1)
        assert worker.is_running

        placer.signal("agent-3", signal.SIGKILL)  # the new one
        assert (await cluster.wait_lost()).node == "node-2"
        await _explained(cluster, "node-2", "its program exited with -9")


async def test_a_node_that_runs_no_new_agent_stays_lost(placer, monkeypatch):
    monkeypatch.setattr(comeback, "_BACK_WITHIN_S", 0.2)
    async with opened(placer) as cluster:
        placer.signal("agent-2", signal.SIGKILL)
        await cluster.wait_lost()
        placer.broken = frozenset({"agent-3", "agent-4"})

        with trio.fail_after(60):
            assert [await cluster.bring_back() for _ in range(3)] == [(), (), ()]
        assert set(cluster.lost) == {"node-2"}


async def test_a_node_that_is_down_is_not_waited_for(placer, monkeypatch):
    monkeypatch.setattr(comeback, "_BACK_WITHIN_S", 600)
    async with opened(placer) as cluster:
        placer.signal("agent-2", signal.SIGKILL)
        await cluster.wait_lost()
        placer.broken, placer.down = frozenset({"agent-3"}), frozenset({"node-2"})

        with trio.fail_after(60):
            assert await cluster.bring_back() == ()


async def test_a_killed_hub_takes_all_agents_with_it(placer):
    async with opened(placer) as cluster:
        (worker,) = await cluster.open_workers("node-1", 1)
        placer.signal("hub", signal.SIGKILL)
        assert await cluster.wait_hub_lost() == HUB_ENDED
        assert set(cluster.lost) == {"node-1", "node-2"}
        assert cluster.lost["node-2"].reason == HUB_ENDED
        assert await worker.read_line() is None
        with pytest.raises(HubLost, match=HUB_ENDED) as lost:
            await cluster.clocks()
        assert "is up and reached" in lost.value.hint
        with trio.fail_after(60):
            statuses = [await placer.processes[name].wait() for name in ("agent-1", "agent-2")]
        assert statuses == [8, 8]
        with trio.fail_after(60):
            while os.path.exists(f"/proc/{worker.pid}"):  # noqa: PTH110, ASYNC110
                await trio.sleep(0.05)


async def test_a_stopped_hub_is_lost(placer):
    async with opened(placer) as cluster:
        placer.signal("hub", signal.SIGSTOP)
        assert await cluster.wait_hub_lost() == "the hub on node-1 was lost: silent for 5 s"
        placer.signal("hub", signal.SIGCONT)


async def test_an_agent_with_another_secret_does_not_join(placer):
    def change(content):
        return msgspec.json.encode(msgspec.json.decode(content) | {"secret": "A" * 43 + "="})

    placer.change_files = change
    with pytest.raises(AgentFailed) as failure:
        async with opened(placer):
            pass
    assert failure.value.message == (
        "the agent on node-1 did not join the hub: its program exited with 7: it could not join the hub"
    )
    assert failure.value.details == ("the agent ends: the hub does not accept this agent's secret",)
    assert not any(process.returncode is None for process in placer.processes.values())
    assert placer.hub.process.returncode is not None


async def test_an_agent_that_cannot_be_placed_leaves_nothing(placer):
    placer.broken = frozenset({"agent-2"})
    with pytest.raises(StackFailed, match="agent-2 on node-2: No such image"):
        async with opened(placer):
            pass
    assert not any(process.returncode is None for process in placer.processes.values())
    assert placer.hub.process.returncode is not None


async def test_questions_of_a_lost_agent_fail_and_their_streams_end():
    async def stream(_payload, call):
        await call.send(b'"first"')
        await trio.sleep_forever()

    async with (
        opened_here(kinds={"stream": stream}) as cluster,
        cluster.open_ask("node-1", "stream", b"{}") as asked,
    ):
        assert await asked.item() == b'"first"'
        (worker,) = await cluster.open_workers("node-1", 1, module=CHATTY)
        cluster._hub._lose("node-1", "silent for 3 s")
        assert await asked.item() is None
        with pytest.raises(AgentFailed, match="node-1: the agent is lost: silent for 3 s"):
            await asked.answer()
        assert await worker.wait() is None


async def test_strangers_at_the_hub_are_told_to_the_user(placer):
    said = []
    async with opened(placer, say=said.append) as cluster:
        order = msgspec.json.decode(placer.plans["agent-1"].files[0].content)
        async with await trio.open_tcp_stream("127.0.0.1", order["port"]) as stranger:
            await stranger.send_all(b"GET / HTTP/1.1\r\n\r\n")
            with trio.fail_after(60):
                while not cluster.refused.count:  # noqa: ASYNC110
                    await trio.sleep(0.05)

    assert said == [
        "starting agents on node-1, node-2",
        "connections that the hub refused: 1; the last from 127.0.0.1: it sent no readable greeting",
    ]


async def test_the_body_of_a_cluster_raises_its_own_errors():
    with pytest.raises(ValueError, match="of the body"):
        async with opened_here():
            raise ValueError("of the body")
