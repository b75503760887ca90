"""Hub and agents run from one image, which holds this program as it is here."""

import pytest

from runner.cluster.opening import open_cluster
from runner.cluster.placement import Node
from runner.core.errors import EnvironmentLacks
from runner.stack.swarm.agent_image import agent_image, refuse_other_machines

CONNECTS_WITHIN_NS = 50_000


async def test_agents_of_all_nodes_join_and_their_clocks_are_known(placer, context, swarm):
    nodes = await placer.nodes()
    image = (await agent_image(placer, nodes, None, context.say)).name

    async with open_cluster(
        placer, run_id=context.run_id, image=image, nodes=nodes, say=context.say
    ) as cluster:
        clocks = await cluster.clocks()

    assert image.startswith("sha256:")
    assert set(cluster.agents) == set(swarm.nodes)
    for node in swarm.nodes:  # the runner's clock is the manager's
        off_ns = clocks[node].offset_ns - swarm.skew_s(node) * 1_000_000_000
        assert abs(off_ns) <= clocks[node].error_ns + CONNECTS_WITHIN_NS
    assert not any("building" in line for line in context.guard.lines)


def test_agents_are_not_sent_to_machines_of_another_kind():
    node = Node("id", "odd", "10.0.0.1", cores=2, memory_bytes=0, architecture="s390x")

    with pytest.raises(EnvironmentLacks, match=r"unlike odd \(s390x\)"):
        refuse_other_machines([node])
