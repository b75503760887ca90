"""The reference service runs as an image, behind nginx, as in experiments/docker-4k.yaml."""

import tomllib
from pathlib import Path

import httpx
import pytest

from runner.stack.docker import open_docker
from tests.stack.docker.conftest import topology

ROOT = Path(__file__).parents[3]


@pytest.mark.docker
async def test_sessions_are_created_through_two_hops(context, left_over):
    app = {"build": str(ROOT / "app_server"), "metrics": "/metrics", "env": {"APP_WORK_US": "50"}}
    spec = topology(replicas=2, proxy={"kind": "nginx"}, app=app)
    async with open_docker(spec, context) as stack, httpx.AsyncClient(trust_env=False) as client:
        entry = f"http://{stack.endpoint.host}:{stack.endpoint.port}"
        sessions = [(await client.get(f"{entry}/session")).json() for _ in range(4)]
        metrics = [(await client.get(url)).text for url in stack.metrics_urls.values()]

    assert len({session["id"] for session in sessions}) == 4
    assert all("# TYPE" in text for text in metrics)


def test_the_image_installs_the_requirements_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = (ROOT / "app_server" / "requirements.txt").read_text().splitlines()
    installed = {line for line in lines if line and not line.startswith("#")}

    assert set(project["optional-dependencies"]["app"]) <= installed
    assert installed <= {*project["optional-dependencies"]["app"], *project["dependencies"]}
