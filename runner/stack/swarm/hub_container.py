"""The hub: a container beside the manager's engine, which the runner talks to through that engine.

It publishes no port, and it ends with its standard input, that is with the runner.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from functools import partial
from pathlib import PurePosixPath
from typing import Any, Final

import trio
from docker.types import LogConfig, Mount

from runner.cluster.lines import LineReader, LineTooLong, LineWriter
from runner.cluster.placement import HUB_ALIAS, BindMount, Node, PlacedFile
from runner.core.errors import StackFailed
from runner.core.units import Seconds
from runner.stack.docker.engine import Engine, EngineRefused, EngineUnavailable
from runner.stack.docker.responses import Created
from runner.stack.swarm.attached import ContainerOutput, attach
from runner.stack.swarm.naming import object_labels, object_name
from runner.stack.swarm.tasks import disk_advice

NAME: Final = "hub"

_USER: Final = 65_534
_MAX_PROCESSES: Final = 4_096  # workers of the agent beside it are among them
_ENDS_WITHIN_S: Final[Seconds] = 2.0
_REMOVED_WITHIN_S: Final[Seconds] = 10.0


class HubChannel:
    """Implements `runner.cluster.placement.Channel` for a container."""

    def __init__(
        self,
        engine: Engine,
        container_id: str,
        stream: trio.abc.Stream,
        output: ContainerOutput,
        address: str,
        node: str,
    ) -> None:
        self.address = address
        self.node = node
        self._engine = engine
        self._id = container_id
        self._stream = stream
        self._output = output
        self._reader = LineReader(output)
        self._writer = LineWriter(stream)

    async def send_line(self, line: bytes) -> None:
        """Send a line, its end included.

        Raises:
            trio.BrokenResourceError: The hub or the engine is gone.
        """
        await self._writer.send(line)

    async def receive_line(self) -> bytes | None:
        """Return the next line without its end; None when the hub is gone.

        Raises:
            ValueError: A line is too long.
        """
        try:
            return await self._reader.line()
        except LineTooLong:
            raise
        except (ValueError, trio.BrokenResourceError, trio.ClosedResourceError):
            return None  # it ended within a line

    def last_words(self) -> tuple[str, ...]:
        """Return the last lines that the hub has written to its standard error."""
        return tuple(self._output.last_words)

    async def aclose(self) -> None:
        """End the hub's standard input, wait a moment for its end, and remove it; never raises."""
        with trio.CancelScope(shield=True):
            with trio.move_on_after(_ENDS_WITHIN_S):
                await self._end()
            await trio.aclose_forcefully(self._stream)
            with trio.move_on_after(_REMOVED_WITHIN_S):
                await remove_container(self._engine, self._id)

    async def _end(self) -> None:
        try:
            if isinstance(self._stream, trio.SocketStream):  # TLS cannot end one direction
                await self._stream.send_eof()
                while await self._output.receive_some():
                    pass
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
            return


async def start_hub(
    engine: Engine,
    run_id: str,
    *,
    image: str,
    command: Sequence[str],
    network: str | None,
    files: Sequence[PlacedFile],
    mounts: Sequence[BindMount],
    node: Node,
) -> HubChannel:
    """Start the hub and return the lines to and from it.

    Args:
        engine: A manager's.
        run_id: The run that it belongs to.
        image: Pinned.
        command: With arguments.
        network: The run's network that agents reach it on; None for that of the manager's node.
        files: That it finds when it starts, readable by its own user only.
        mounts: Folders of the node.
        node: That of the engine.

    Raises:
        StackFailed: It could not be started.
        EngineUnavailable: The engine does not answer.
    """
    arguments = _arguments(engine, run_id, image, command, network, mounts)
    arguments["host_config"]["ReadonlyRootfs"] = not files  # the engine writes none into what is read-only
    try:
        created = await engine.read(Created, engine.api.create_container, **arguments)
        if files:
            await engine.call(engine.api.put_archive, created.id, "/", _archive(files))
        address = node.address if network is None else HUB_ALIAS
        return await _start_attached(engine, created.id, address, node.name)
    except EngineRefused as refused:
        raise StackFailed(
            f"the hub could not be started: {refused.reason}", hint=hub_advice(refused)
        ) from refused


async def _start_attached(engine: Engine, container: str, address: str, node: str) -> HubChannel:
    """Start a container whose lines are attached first, so that none is missed."""
    stream, output = await attach(engine, container)
    hub = HubChannel(engine, container, stream, output, address, node)
    try:
        await engine.call(engine.api.start, container)
    except BaseException:
        await hub.aclose()
        raise
    return hub


def hub_advice(refused: EngineRefused) -> str:
    """Return what to do when the engine does not start the hub; empty if that is not known."""
    if "attaching to network failed" in refused.reason:
        return (
            "the manager is too busy, or its engine holds on to networks of earlier runs: run one experiment "
            "at a time, and restart the manager's engine if `docker network ls` lists networks lp-… of "
            "runs that have ended"
        )
    if refused.status == 404:
        return "the image is missing on the manager's node"
    return disk_advice(refused.reason, " of the manager")


def _arguments(
    engine: Engine,
    run_id: str,
    image: str,
    command: Sequence[str],
    network: str | None,
    mounts: Sequence[BindMount],
) -> dict[str, Any]:  # the SDK's keyword arguments have no type
    host_config = engine.api.create_host_config(
        network_mode=network or "host",
        cap_drop=["ALL"],
        mounts=[Mount(one.target, one.source, type="bind", read_only=one.read_only) for one in mounts],
        security_opt=["no-new-privileges"],
        pids_limit=_MAX_PROCESSES,
        log_config=LogConfig(type="none"),
    )
    arguments: dict[str, Any] = {
        "image": image,
        "command": list(command),
        "name": object_name(run_id, NAME),
        "labels": object_labels(run_id, NAME),
        "user": f"{_USER}:{_USER}",
        "stdin_open": True,
        "healthcheck": {"test": ["NONE"]},
        "host_config": host_config,
    }
    if network:
        endpoint = engine.api.create_endpoint_config(aliases=[HUB_ALIAS])
        arguments["networking_config"] = {"EndpointsConfig": {network: endpoint}}
    return arguments


def _archive(files: Sequence[PlacedFile]) -> bytes:
    """Return a tar of files and the folders that contain them."""
    folders = {parent for file in files for parent in PurePosixPath(file.path).parents} - {PurePosixPath("/")}
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for folder in sorted(folders):
            info = tarfile.TarInfo(str(folder).lstrip("/"))
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(info)
        for file in files:
            info = tarfile.TarInfo(file.path.lstrip("/"))
            info.size, info.uid, info.gid = len(file.content), _USER, _USER
            info.mode = 0o400 if file.secret else 0o444
            archive.addfile(info, io.BytesIO(file.content))
    return target.getvalue()


async def remove_container(engine: Engine, container_id: str) -> None:
    """Remove a container, if it and its engine are there."""
    try:
        await engine.call(partial(engine.api.remove_container, container_id, v=True, force=True))
    except (EngineRefused, EngineUnavailable):
        return
