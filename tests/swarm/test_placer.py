"""Programs are placed on the nodes of a real swarm, and nothing is left of them."""

import pytest
import trio

from runner.cluster.placement import BindMount, PlacedFile, PlacedHealthcheck, ResourceLimits, TaskPlan
from runner.core.errors import StackFailed
from runner.stack.swarm.placer import open_placer
from tests.swarm.conftest import left_on

WITHIN_S = 60
STAY = ("python3", "-c", "import time; time.sleep(600)")


async def eventually_output(placer, name):
    """Return what each of three tasks has written, when all have written two lines."""
    with trio.fail_after(WITHIN_S):
        while True:
            output = await placer.output(name, 5)
            if len(output) == 3 and all(len(lines) > 1 for lines in output.values()):
                return output
            await trio.sleep(0.1)


async def test_all_nodes_are_known(placer, swarm):
    nodes = await placer.nodes()

    assert [node.name for node in nodes] == list(swarm.nodes)
    assert [node.address for node in nodes] == [swarm.address(node) for node in swarm.nodes]
    assert [node.is_manager for node in nodes] == [True, False, False]
    assert {(node.state, node.architecture in {"amd64", "arm64"}) for node in nodes} == {("ready", True)}
    assert all(node.cores > 0 and node.memory_bytes > 0 for node in nodes)


ANSWER = """
import socket, sys
listener = socket.create_server(("", 7700)); print("ready", flush=True)
for _ in range(3): listener.accept()[0].sendall(sys.stdin.readline().encode())
print("a" * 1_000_000, flush=True); print("last", file=sys.stderr, flush=True); sys.stdin.read()
"""
ASK = """
import os, socket, time
mode = os.stat("/run/key").st_mode & 0o777; open("/tmp/x", "w").close()
print(open("/etc/word").read(), open("/run/key").read(), mode, flush=True)
print(socket.create_connection(("HUB", 7700)).makefile().readline(), flush=True); time.sleep(600)
"""


def probe(image, hub, network):
    """A program on each node with all that a plan can say; it asks the hub."""
    return TaskPlan(
        name="probe",
        image=image,
        command=("python3", "-c", ASK.replace("HUB", hub.address)),
        networks=(network,),
        one_per_node=True,
        files=(PlacedFile("/etc/word", b"open"), PlacedFile("/run/key", b"secret", secret=True)),
        mounts=(BindMount("/proc", "/host"),),
        tmpfs={"/tmp": 1_000_000},
        user="65534",
        read_only=True,
        cap_drop=("ALL",),
        limits=ResourceLimits(cpus=0.5, memory_bytes=100_000_000, pids=50),
        sysctls={"net.ipv4.ip_local_port_range": "20000 60999"},
        ports={8080: 0},
    )


async def test_a_program_runs_once_on_each_node_as_planned_and_reaches_the_hub(placer, image, swarm):
    network = await placer.network("data")
    hub = await placer.start_hub(image=image, command=("python3", "-c", ANSWER), network=network)
    assert await hub.receive_line() == b"ready"

    tasks = await placer.place(probe(image, hub, network), within=WITHIN_S)
    for number in range(3):
        await hub.send_line(b"hello %d\n" % number)

    nodes = {node.id: node.name for node in await placer.nodes()}
    assert [nodes[task.node_id] for task in tasks] == list(swarm.nodes)
    assert [task.slot for task in tasks] == [1, 2, 3]
    assert len({task.addresses[network] for task in tasks}) == 3
    assert all(task.pid and task.container_id and task.ports[8080] for task in tasks)
    assert await placer.tasks("probe") == tasks
    assert await hub.receive_line() == b"a" * 1_000_000
    output = await eventually_output(placer, "probe")
    assert {lines[0] for lines in output.values()} == {"open secret 256"}
    assert {lines[1] for lines in output.values()} == {"hello 0", "hello 1", "hello 2"}
    applied = swarm.get("node-2", f"/containers/{tasks[1].container_id}/json")["HostConfig"]
    assert (applied["NanoCpus"], applied["Memory"], applied["PidsLimit"]) == (500_000_000, 100_000_000, 50)
    await hub.aclose()
    assert hub.last_words() == ("last",)
    assert await hub.receive_line() is None
    with pytest.raises(trio.BrokenResourceError):
        await hub.send_line(b"more\n")

    await placer.remove("probe")

    assert await placer.tasks("probe") == ()
    assert left_on(swarm) == {f"network {network}"}


HUGE = "/x has 1,024,000 bytes: a config of a swarm has at most"
UNMET = "no suitable node (scheduling constraints not satisfied"


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        ({"image": f"sha256:{'0' * 64}"}, "p could not be started on node-2: No such image", "docker load"),
        ({"command": ("nosuch",)}, "p ended at its start on node-2: ", ""),
        ({"mounts": (BindMount("/nowhere", "/x"),)}, "bind source path does not exist", "on node-2"),
        ({"constraints": ("node.labels.role==load",)}, UNMET, "node.labels.role==load"),
        ({"files": (PlacedFile("/x", b""),)}, "/x is empty", ""),
        ({"files": (PlacedFile("/x", bytes(1_024_000)),)}, HUGE, "image"),
        ({"name": "no name"}, "the swarm does not take no name: ", ""),
    ],
)
async def test_what_does_not_run_is_explained_and_leaves_nothing(
    placer, image, swarm, monkeypatch, change, message, hint
):
    monkeypatch.setattr("runner.stack.swarm.run_tasks._NO_NODE_WITHIN_S", 0.5)
    plan = {"name": "p", "image": image, "command": STAY, "constraints": ("node.hostname==node-2",)}

    with pytest.raises(StackFailed) as failed:
        await placer.place(TaskPlan(**plan | change), within=WITHIN_S)

    assert message in failed.value.message
    assert hint in failed.value.hint
    assert left_on(swarm) == set()


async def test_the_output_of_a_program_that_ends_at_once_is_shown(placer, image):
    command = ("python3", "-c", "print('no database', flush=True); exit(3)")
    never = PlacedHealthcheck(("CMD", "false"))
    plan = TaskPlan(name="p", image=image, command=command, healthcheck=never)

    with pytest.raises(
        StackFailed, match=r"p ended at its start on node-\d: task: non-zero exit \(3\)"
    ) as failed:
        await placer.place(plan, within=WITHIN_S)

    assert failed.value.details == ("no database",)


async def test_at_the_end_everything_is_removed(context, swarm, guard):
    async with open_placer(context) as placer:
        network = await placer.network("data")
        assert guard.engines == [f"swarm+{swarm.url('node-1')}"]
        assert left_on(swarm) == {f"network {network}"}

    assert guard.engines == []
    assert left_on(swarm) == set()
