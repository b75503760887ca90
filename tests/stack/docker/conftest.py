"""One run's context on a real engine, and a check that nothing is left of it."""

import os
import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest
import trio

from runner.experiment.model import DockerTopology
from runner.stack.docker import labels
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


def client() -> docker.APIClient:
    # a pool for every URL a test may use: the SDK discards the oldest of 25 without closing its sockets
    return docker.APIClient(base_url="unix:///var/run/docker.sock", version="auto", num_pools=1000)


@pytest.fixture
def api() -> Iterator[docker.APIClient]:
    with closing(client()) as api:
        yield api


def context_of(recorder: RecordingGuard, scratch: Path) -> StackContext:
    """Return the context of a run with an id of its own."""
    return StackContext(
        run_id=f"test-{uuid.uuid4().hex[:8]}",
        name="two-hops",
        base_dir=APP.parent,
        scratch=scratch,
        guard=recorder,
        say=recorder.lines.append,
    )


@pytest.fixture
def context(recorder: RecordingGuard, tmp_path: Path) -> StackContext:
    return context_of(recorder, tmp_path)


def labelled(api: docker.APIClient, run_id: str) -> list[str]:
    """Return the names of every container and network of a run."""
    filters = {"label": f"{labels.RUN}={run_id}"}
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


class Running:
    """A stack that runs in a thread of its own, for tests that only look at it.

    Attributes:
        stack: The stack, None if it did not come up.
    """

    def __init__(self, opened: AbstractAsyncContextManager[Any]) -> None:
        self._opened = opened
        self._up = threading.Event()
        self.stack: Any = None

    @contextmanager
    def until_the_end(self) -> Iterator[None]:
        """Keep the stack up for the block; raises what opening or closing it raised."""
        failures: list[BaseException] = []
        thread = threading.Thread(target=self._run, args=(failures,))
        thread.start()
        self._up.wait()
        try:
            if not failures:
                yield
        finally:
            if self.stack:
                self._token.run_sync_soon(self._end.set)
            thread.join()
        if failures:
            raise failures[0]

    def _run(self, failures: list[BaseException]) -> None:
        try:
            trio.run(self._hold)
        except BaseException as failure:  # noqa: BLE001  (the thread that waits raises it)
            failures.append(failure)
        finally:
            self._up.set()

    async def _hold(self) -> None:
        self._end = trio.Event()
        self._token = trio.lowlevel.current_trio_token()
        async with self._opened as self.stack:
            self._up.set()
            await self._end.wait()
