"""The image of hub and agents: a Python of the runner's version with the runner's own code, built once."""

from __future__ import annotations

import io
import platform
import sys
import tarfile
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import trio

from runner.cluster.placement import Node
from runner.core.errors import EnvironmentLacks, StackFailed
from runner.stack.docker import labels
from runner.stack.docker.engine import Engine, EngineRefused
from runner.stack.docker.images import Image, Supplier, find_image
from runner.stack.docker.responses import Progress
from runner.stack.output import printable
from runner.stack.swarm.agent_files import FOLDER, agent_files, fingerprint, write_files
from runner.stack.swarm.images import pin_images
from runner.stack.swarm.missing_images import NeededImage

if TYPE_CHECKING:
    from runner.stack.swarm.placer import SwarmPlacer

REPOSITORY: Final = "loadproof-agent"

_PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
_MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_DOCKERFILE: Final = f"""\
ARG BASE
FROM ${{BASE}}
COPY {FOLDER} /opt/{FOLDER}
ENV PYTHONPATH=/opt/{FOLDER} PYTHONDONTWRITEBYTECODE=1
RUN python3 -P -c "import sys; sys.exit(sys.version_info[:2] != ({_PYTHON.replace(".", ", ")}))" \\
 && python3 -P -m compileall -q /opt/{FOLDER} \\
 && python3 -P -c "import runner.agent.kinds, runner.cluster.hub, runner.load.worker"
USER 65534:65534
ENTRYPOINT []
CMD ["python3"]
"""
_LAST_LINES: Final = 10
_MAX_ERROR: Final = 1_000


async def agent_image(
    placer: SwarmPlacer, nodes: Sequence[Node], registry: str | None, say: Callable[[str], None]
) -> NeededImage:
    """Return the image of hub and agents, pinned, so that all these nodes run the same.

    Args:
        placer: Whose engine builds it.
        nodes: Where agents will run.
        registry: Where it is pushed to, such as ``registry.example/load``; None if every node
            has it, which is not checked.
        say: Shows the user a line of progress.

    Raises:
        EnvironmentLacks: It cannot be made on this machine or does not fit the nodes.
        StackFailed: Building or pushing it failed.
    """
    refuse_other_machines(nodes)
    image = await build_agent_image(placer.supplier, say)
    pinned = await pin_images(placer, {REPOSITORY: image}, registry, say)
    return NeededImage("agents", image, nodes, pinned[REPOSITORY])


def refuse_other_machines(nodes: Sequence[Node]) -> None:
    """Raise EnvironmentLacks unless what is compiled for this machine runs on all these nodes."""
    own = _MACHINES.get(platform.machine(), platform.machine())
    others = [f"{node.name} ({node.architecture})" for node in nodes if node.architecture != own]
    if sys.platform != "linux" or others:
        raise EnvironmentLacks(
            f"agents are made of this machine's own files, and it is {own} with {platform.system()}, unlike "
            f"{', '.join(others) or 'the nodes'}",
            hint="run it on a Linux machine like the nodes, such as a manager of the swarm, or choose other "
            "nodes with `load.nodes`",
        )


async def build_agent_image(supplier: Supplier, say: Callable[[str], None]) -> Image:
    """Return the image on the engine that builds it; it is built again only when this program has changed.

    Raises:
        EnvironmentLacks: Its base cannot be obtained, or a file of it cannot be read.
        StackFailed: Building it failed.
    """
    files = await trio.to_thread.run_sync(agent_files)
    tag = f"{REPOSITORY}:{await trio.to_thread.run_sync(fingerprint, files, _DOCKERFILE)}"
    if image := await find_image(supplier.engine, tag):
        return image
    base = await supplier.obtain(f"python:{_PYTHON}-slim")
    say(f"building the image of agents on {base.name}")
    await _build(supplier.engine, partial(_write_context, files), tag, base.name)
    image = await find_image(supplier.engine, tag)
    if image is None:
        raise StackFailed("building the image of agents produced no image")
    return image


def _write_context(files: dict[str, Path]) -> IO[bytes]:
    """Return the context of the build as a tar."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        info = tarfile.TarInfo("Dockerfile")
        info.size = len(_DOCKERFILE)
        archive.addfile(info, io.BytesIO(_DOCKERFILE.encode()))
        write_files(files, archive)
    target.seek(0)
    return target


async def _build(engine: Engine, write_context: Callable[[], IO[bytes]], tag: str, base: str) -> None:
    lines: deque[str] = deque(maxlen=_LAST_LINES)
    errors: list[str] = []

    def on_item(item: Progress) -> None:
        lines.extend(printable(line) for line in item.stream.splitlines() if line.strip())
        if item.error:
            errors[:] = [item.error[:_MAX_ERROR]]

    build = partial(
        engine.api.build,
        fileobj=await trio.to_thread.run_sync(write_context),
        custom_context=True,
        tag=tag,
        rm=True,
        forcerm=True,
        labels={labels.IMAGE: "agent"},
        buildargs={"BASE": base},
        network_mode="none",
    )
    try:
        await engine.stream(await engine.call(build), on_item)
    except EngineRefused as refused:
        errors.append(refused.reason)
    if errors:
        raise StackFailed(
            f"building the image of agents on {base} failed: {errors[-1]}",
            hint=f"{base} must contain Python {_PYTHON} with glibc, as this machine has",
            details=tuple(lines),
        )
