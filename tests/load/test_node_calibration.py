"""Calibration of nodes: each against its own no-op server; unequal ceilings give unequal shares."""

from runner.experiment.model import Load
from runner.load.calibration_load import calibration_load
from runner.load.node_calibration import calibrate_nodes
from tests.load.local_nodes import local_nodes


async def test_all_nodes_together_have_a_baseline_and_a_ceiling():
    load = calibration_load(Load(), {})
    async with local_nodes({"a": 0, "b": 3_000}) as nodes:
        calibration = await calibrate_nodes(load, [200.0], nodes)

    assert nodes.ceilings.keys() == {"a", "b"}
    assert calibration.ceiling_rps == sum(nodes.ceilings.values()) > 0
    assert calibration.workers >= 2
    (floor,) = calibration.floors
    assert floor.target_rps == 200
    assert floor.achieved > 0
    assert floor.duration_ms["p50"] > 0
