"""That a task ended, or is out of reach, is noticed with its node and its last output."""

from dataclasses import replace

import pytest
import trio

from runner.core.errors import EnvironmentLacks
from runner.core.units import BYTES_PER_MIB
from tests.servers.scripted import scripted
from tests.stack.swarm.placed import NODES, monitored, part_task

WITHIN_S = 30


@pytest.fixture
async def monitor():
    async with monitored({"secret token": "t0k3n-of-the-run"}) as monitor:
        yield monitor


def watch(monitor, *tasks):
    """Let a monitor watch tasks that run."""
    for one in tasks:
        monitor.tasks.append(one)
        monitor.placer.known[one.part.plan.name] = (one.task,)


def end(monitor, one, state="failed", **changes):
    monitor.placer.known[one.part.plan.name] = (replace(one.task, state=state, **changes),)


async def event_of(monitor):
    with trio.fail_after(WITHIN_S):
        return await monitor.wait_broken()


async def test_tasks_that_run_are_nothing_to_report(monitor):
    watch(monitor, part_task(1), part_task(2, NODES[1], "db", role="db"))

    assert await monitor.look() is None


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"exit_code": 3, "error": "task: non-zero exit (3)"}, "exited with status 3"),
        ({"exit_code": 0, "state": "complete"}, "exited with status 0"),
        ({"exit_code": 139, "error": "task: non-zero exit (139)"}, "was killed by SIGSEGV"),
        ({"exit_code": 137, "error": "task: non-zero exit (137)"}, "was killed by SIGKILL"),
        ({"error": "dockerexec: unhealthy container"}, "ended: dockerexec: unhealthy container"),
        ({"state": "shutdown"}, "is shutdown"),
    ],
)
async def test_the_end_of_a_replica_is_told_with_its_node(monitor, changes, what):
    one = part_task(1, NODES[1], "app-2")
    watch(monitor, part_task(1, NODES[0], "app-1"), one)
    end(monitor, one, **changes)
    event = await event_of(monitor)

    assert (event.code, event.message) == ("app-died", f"the replica app-2 on node-2 {what}")


async def test_the_end_of_another_part_breaks_the_stack(monitor):
    one = part_task(1, NODES[1], "db", role="db")
    watch(monitor, part_task(1), one)
    end(monitor, one, exit_code=1)
    event = await event_of(monitor)

    assert (event.code, event.message) == ("stack-failed", "the service db on node-2 exited with status 1")


async def test_a_killed_task_with_a_memory_limit_most_likely_exceeded_it(monitor):
    one = part_task(1, memory=48 * BYTES_PER_MIB)
    watch(monitor, one)
    end(monitor, one, exit_code=137)
    event = await event_of(monitor)

    assert event.code == "out-of-memory"
    assert (
        event.message == "the app on node-1 was killed by SIGKILL, most likely at its memory limit of 48 MiB"
    )


async def test_the_last_output_is_kept_without_secrets_and_terminal_sequences(monitor):
    one = part_task(1, secrets={"PASSWORD": "p4ssw0rd-of-it"})
    watch(monitor, one)
    monitor.placer.written["app"] = (
        *(["early"] * 30),
        "token t0k3n-of-the-run",
        "\x1b[31mp4ssw0rd-of-it\x07",
    )
    end(monitor, one, exit_code=1)
    event = await event_of(monitor)

    assert event.log == (*(["early"] * 18), "token [secret token]", "[PASSWORD]")


async def test_a_manager_that_does_not_answer_breaks_the_stack(monitor, monkeypatch):
    async def gone(_name):
        raise EnvironmentLacks("the Docker Engine stopped responding (reset)")

    watch(monitor, part_task(1))
    monkeypatch.setattr(monitor.placer, "tasks", gone)
    event = await event_of(monitor)

    assert (event.code, event.message) == ("stack-failed", "the Docker Engine stopped responding (reset)")


async def lose(monitor, node):
    """End the agent of a node."""
    name = next(name for name, plan in monitor.placer.plans.items() if plan.node_id == node)
    monitor.placer.scopes[name].cancel()
    with trio.fail_after(WITHIN_S):
        await monitor.cluster.wait_lost()


async def test_a_task_is_out_of_reach_when_its_agent_is_lost_and_no_other_node_reaches_it(monitor):
    one = part_task(1, NODES[1])  # nothing listens on port 1
    watch(monitor, one)
    monitor.tasks.append(replace(one, name="app-2"))
    await lose(monitor, "node-2")
    event = await event_of(monitor)

    assert event.code == "app-died"
    assert event.message.startswith("the app on node-2 is out of reach, and the agent there is lost (")
    assert event.message.endswith("; app-2 ran there too)")


async def test_a_task_that_another_node_still_reaches_is_not_out_of_reach(monitor):
    with scripted(lambda client, _: client.close()) as port:
        one = part_task(port, NODES[1])
        watch(monitor, one)
        await lose(monitor, "node-2")

        assert await monitor.is_reached(one)
