"""A task that does not run is explained in the engine's words, with what to do about it."""

import pytest

from runner.cluster.placement import Node, Task, TaskPlan
from runner.stack.swarm.tasks import ended_error

NODE = Node("id", "node-2", "10.0.0.2", cores=2, memory_bytes=0, architecture="amd64")


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (
            "write /data/.tmp-config.v2.json1: no space left on device",
            "on the disk of the engine on node-2: ",
        ),
        ("No such image: sha256:0", "bring the image on node-2 with `docker save"),
        ("bind source path does not exist: /x", "the folder does not exist on node-2"),
        ("host-mode port already in use", "another program there uses the port"),
        ("something else", ""),
    ],
)
def test_what_the_engine_says_of_a_task_has_advice(error, hint):
    task = Task("id", 1, NODE.id, state="rejected", error=error)

    failed = ended_error(TaskPlan("agent-2", "image"), task, NODE, ())

    assert failed.message == f"agent-2 could not be started on node-2: {error}"
    assert failed.hint.find(hint) >= 0
    assert bool(failed.hint) is bool(hint)
