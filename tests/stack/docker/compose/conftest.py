"""A project of the user, started once for all tests that only look at it."""

import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from runner.core.errors import EnvironmentLacks, LoadproofError
from runner.experiment.compose_topology import ComposeTopology
from runner.stack.compose import open_compose
from runner.stack.protocols import StackContext
from tests.stack.docker.conftest import RecordingGuard, Running

PROJECT = Path(__file__).parent / "project"
KEPT_VOLUME = "loadproof-test-kept"


def topology(**changes: Any) -> ComposeTopology:
    keys = {"files": ["docker-compose.yml"], "target": {"service": "web", "port": 8080}, "health": "/"}
    return ComposeTopology.model_validate({"kind": "compose", **keys, **changes})


@dataclass(frozen=True)
class Project:
    """The stack of the project, and what it has written."""

    stack: Any
    context: StackContext
    recorder: RecordingGuard
    files: dict[str, bytes]


def context_of(recorder: RecordingGuard, folder: Path, scratch: Path, **changes: Any) -> StackContext:
    return StackContext(
        run_id=f"test-{uuid.uuid4().hex[:8]}",
        name="shop",
        base_dir=folder,
        scratch=scratch,
        guard=recorder,
        say=recorder.lines.append,
        **changes,
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    recorder = RecordingGuard()
    files: dict[str, bytes] = {}
    context = context_of(
        recorder,
        PROJECT,
        tmp_path_factory.mktemp("scratch"),
        keep_rendered=files.__setitem__,
        keep_log=lambda name, content: files.__setitem__(f"{name}.log", content),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMPOSE_TEST_TOKEN", "hidden-value-1")
        patch.setenv("LOADPROOF_IMAGES", "local")
        with (held := Running(open_compose(topology(), context))).until_the_end():
            yield Project(held.stack, context, recorder, files)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project that a test may change."""
    return Path(shutil.copytree(PROJECT, tmp_path / "project"))


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def objects_of(api: docker.APIClient, run_id: str) -> list[str]:
    """Return the names of every container, network and volume of a run."""
    filters = {"label": f"loadproof.run={run_id}"}
    return [
        *(item["Names"][0] for item in api.containers(all=True, filters=filters)),
        *(item["Name"] for item in api.networks(filters=filters)),
        *(item["Name"] for item in api.volumes(filters=filters)["Volumes"] or ()),
    ]


@pytest.fixture
def compose(tmp_path, scratch, recorder, api):
    """Return a function that opens a compose file made of these services; whatever it starts must be gone."""
    folder = tmp_path / "specification"
    folder.mkdir()
    context = context_of(recorder, folder, scratch)

    def open_(services: dict[str, Any], text: str | None = None, **changes: Any) -> Any:
        defaults = {"image": "python:3.12-slim", "stop_signal": "SIGKILL"}  # which none waits for
        services = {name: {**defaults, **service} for name, service in services.items()}
        content = text or yaml.safe_dump({"services": services})
        (folder / "docker-compose.yml").write_text(content)
        return open_compose(topology(**{"ready_within": 30.0, **changes}), context)

    open_.context = context
    yield open_
    assert objects_of(api, context.run_id) == []
    assert recorder.processes == set()


async def failure(stack) -> LoadproofError:
    with pytest.raises(EnvironmentLacks) as caught:
        async with stack:
            pass
    return caught.value
