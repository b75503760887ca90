"""What to do when the engine of the manager does not start the hub."""

import pytest

from runner.stack.docker.engine import EngineRefused
from runner.stack.swarm.hub_container import hub_advice


@pytest.mark.parametrize(
    ("reason", "status", "advice"),
    [
        ("attaching to network failed, ...: context deadline exceeded", 500, "run one experiment at a time"),
        (
            "write /d/.tmp: no space left on device",
            500,
            "the disk of the engine of the manager",
        ),
        ("No such image: sha256:1", 404, "the image is missing on the manager's node"),
        ("something else", 500, ""),
    ],
)
def test_a_hub_that_is_not_started_has_advice(reason, status, advice):
    given = hub_advice(EngineRefused(reason, status=status))

    assert advice in given
    assert bool(given) is bool(advice)
