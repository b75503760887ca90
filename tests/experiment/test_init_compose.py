"""A first specification for a compose file finds where requests go, and what is in front of the app."""

from __future__ import annotations

import pytest

from runner.experiment.init_compose import ComposeService, Proposal, propose, topology_text
from runner.experiment.init_template import compose_spec
from runner.experiment.load import read_spec

DB = ComposeService("postgres:16", ports=(5432,))
CHECK = "CMD curl -f http://localhost:8000/healthz?full=1 || exit 1"
CASES = [
    ({"web": ComposeService(ports=(8080,)), "db": DB}, Proposal("web", 8080, "/", {})),
    ({"api": ComposeService(ports=(9229, 8000), check=CHECK)}, Proposal("api", 8000, "/healthz?full=1", {})),
    (
        {
            "web": ComposeService(ports=(8000,)),
            "edge": ComposeService("nginx:1.28", ports=(443, 80), depends_on=("db", "web")),
            "db": DB,
        },
        Proposal("edge", 80, "/", {"web": "app", "edge": "proxy"}),
    ),
    (
        {"app": ComposeService(), "front": ComposeService(ports=(3000,))},
        Proposal("front", 3000, "/", {"app": "app", "front": "proxy"}),
    ),
    ({"db": DB, "cache": ComposeService("redis:7", ports=(6379, 8001))}, None),
    ({"worker": ComposeService()}, None),
    ({"web": ComposeService(exposed=(9229, 8000)), "db": DB}, Proposal("web", 8000, "/", {})),
    (
        {"web": ComposeService(exposed=(80,)), "front": ComposeService(ports=(9999,))},
        Proposal("front", 9999, "/", {}),
    ),
    ({"db": ComposeService("postgres:16", exposed=(5432,))}, None),
]


@pytest.mark.parametrize(("services", "expected"), CASES)
def test_the_service_that_users_reach_is_the_target(
    services: dict[str, ComposeService], expected: Proposal | None
) -> None:
    assert propose(services) == expected


@pytest.mark.parametrize(("services", "expected"), [case for case in CASES if case[1]])
def test_the_generated_file_is_valid(services: dict[str, ComposeService], expected: Proposal) -> None:
    text = compose_spec("shop", topology_text(["../a b.yml"], expected, services), "a b.yml", "/")
    topology = read_spec(text.encode(), source="shop.yaml").configurations[0].topology

    assert topology.input_files == ("../a b.yml",)
    assert (topology.target.service, topology.target.port) == (expected.service, expected.port)
    assert topology.roles == expected.roles
