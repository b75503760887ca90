"""One run's context on a real engine, and a check that nothing is left of it."""

import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest

from runner.experiment.model import DockerTopology
from runner.stack.protocols import StackContext

APP = Path(__file__).parent / "app"

needs_mmdebstrap = pytest.mark.skipif(
    os.environ.get("CI") != "true" and not shutil.which("mmdebstrap"), reason="mmdebstrap is not installed"
)


@dataclass
class RecordingGuard:
    """A guard that only records, and the lines shown to the user."""

    lines: list[str] = field(default_factory=list)
    processes: set[int] = field(default_factory=set)
    engines: list[str] = field(default_factory=list)

    def process(self, pid: int) -> None:
        self.processes.add(pid)

    def forget(self, pid: int) -> None:
        self.processes.discard(pid)

    def docker(self, base_url: str) -> None:
        self.engines.append(base_url)

    def docker_emptied(self, base_url: str) -> None:
        if base_url in self.engines:  # a run may be cancelled before it guards the engine
            self.engines.remove(base_url)


@pytest.fixture
def recorder() -> RecordingGuard:
    return RecordingGuard()


@pytest.fixture
def api() -> Iterator[docker.APIClient]:
    # a pool for every URL a test may use: the SDK discards the oldest of 25 without closing its sockets
    client = docker.APIClient(base_url="unix:///var/run/docker.sock", version="auto", num_pools=1000)
    yield client
    client.close()


@pytest.fixture
def context(recorder: RecordingGuard, tmp_path: Path) -> StackContext:
    return StackContext(
        run_id=f"test-{uuid.uuid4().hex[:8]}",
        name="two-hops",
        base_dir=APP.parent,
        scratch=tmp_path,
        guard=recorder,
        say=recorder.lines.append,
    )


def labelled(api: docker.APIClient, run_id: str) -> list[str]:
    """Return the names of every container and network of a run."""
    filters = {"label": f"loadproof.run={run_id}"}
    containers = api.containers(all=True, filters=filters)
    networks = api.networks(filters=filters)
    return [*(item["Names"][0] for item in containers), *(item["Name"] for item in networks)]


@pytest.fixture
def left_over(api: docker.APIClient, context: StackContext) -> Iterator[Any]:
    """Return what is left of the run when called; a test that leaves anything fails in any case."""
    yield lambda: labelled(api, context.run_id)
    assert labelled(api, context.run_id) == []


def topology(**changes: Any) -> DockerTopology:
    app = {"build": "app", "port": 8080, **changes.pop("app", {})}
    return DockerTopology.model_validate({"kind": "docker", "app": app, **changes})
