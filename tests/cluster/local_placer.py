"""A `Placer` whose nodes are time name spaces here, and whose programs are processes on loopback."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import trio

from runner.cluster.lines import LineReader, LineWriter
from runner.cluster.placement import Node, Task
from runner.core.errors import StackFailed

NO_TIME_NAMESPACES = (
    subprocess.run(
        ["unshare", "--time", "--monotonic", "1", "--fork", "true"], capture_output=True, check=False
    ).returncode
    != 0
)


class LocalChannel:
    """The hub's standard input and output."""

    def __init__(self, process, changes):
        self.process, self._changes = process, changes
        self.address = "127.0.0.1"
        self.node = "node-1"
        self._reader, self._writer = LineReader(process.stdout), LineWriter(process.stdin)

    async def send_line(self, line):
        for before, after in self._changes.items():
            line = line.replace(before, after)
        await self._writer.send(line)

    async def receive_line(self):
        try:
            return await self._reader.line()
        except trio.ClosedResourceError:
            return None

    def last_words(self):
        return ()

    async def aclose(self):
        await trio.aclose_forcefully(self.process.stdin)
        with trio.move_on_after(2):
            await self.process.wait()
        self.process.kill()
        await self.process.wait()
        await trio.aclose_forcefully(self.process.stdout)


@dataclass
class LocalPlacer:
    """Places everything on this machine.

    Attributes:
        skews: Name of each node to the seconds that its CLOCK_MONOTONIC is ahead.
        hub_skew: The same of the hub.
        broken: Names of plans whose tasks fail.
        down: Names of nodes that are down, as far as the engine knows.
        own_node: Name of the node on which the hub runs.
        hub_changes: What is replaced in the lines to the hub, by what.
    """

    skews: dict[str, int]
    hub_skew: int = 0
    broken: frozenset[str] = frozenset()
    down: frozenset[str] = frozenset()
    own_node: str = ""
    processes: dict[str, trio.Process] = field(default_factory=dict)
    hub: LocalChannel | None = None
    plans: dict = field(default_factory=dict)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp()))
    change_files: object = None
    hub_changes: dict[bytes, bytes] = field(default_factory=dict)

    async def nodes(self):
        return tuple(
            Node(name, name, "127.0.0.1", 2, 2**30, "amd64", state="down" if name in self.down else "ready")
            for name in self.skews
        )

    async def network(self, name):
        return name

    async def place(self, plan, *, within):
        if plan.name in self.broken:
            raise StackFailed(f"{plan.name} on {plan.node_id}: No such image")
        self.plans[plan.name] = plan
        command = list(plan.command)
        for file in plan.files:
            path = self.folder / f"{plan.name}-{Path(file.path).name}"
            path.write_bytes(self.change_files(file.content) if self.change_files else file.content)
            command = [str(path) if word == file.path else word for word in command]
        with (self.folder / f"{plan.name}.err").open("wb") as errors:
            self.processes[plan.name] = await self._start(
                command, self.skews[plan.node_id], stdin=subprocess.DEVNULL, stderr=errors
            )
        return await self.tasks(plan.name)

    async def tasks(self, name):
        if not (process := self.processes.get(name)):
            return ()
        status = process.returncode
        state = "running" if status is None else "failed"
        node = self.plans[name].node_id
        return (Task(name, 1, node, state, exit_code=status, pid=process.pid),)

    def hub_node(self):
        return self.own_node

    async def start_hub(self, *, image, command, network, files=(), mounts=()):
        process = await self._start(command, self.hub_skew, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.hub = LocalChannel(process, self.hub_changes)
        return self.hub

    async def output(self, name, lines):
        text = (self.folder / f"{name}.err").read_text()
        return {name: tuple(deque(text.splitlines(), lines))}

    async def remove(self, name, *, wait=True):
        if process := self.processes.get(name):
            self.kill(name)
            await process.wait()

    async def remove_all(self):
        for name in self.processes:
            await self.remove(name)
        shutil.rmtree(self.folder, ignore_errors=True)
        return ""

    def signal(self, name, number):
        """Send a signal to the program itself, not to the one that made its name space."""
        _signal(self.processes[name] if name != "hub" else self.hub.process, number)

    def kill(self, name):
        if self.processes[name].returncode is None:
            self.processes[name].kill()

    async def _start(self, command, skew, **pipes):
        argv = [sys.executable, *command[1:]]
        if skew:
            unshare = ["unshare", "--time", "--monotonic", str(skew), "--fork", "--kill-child=KILL"]
            argv = [*unshare, *argv]
        return await trio.lowlevel.open_process(argv, start_new_session=True, **pipes)


def _signal(process, number):
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    is_unshare = Path(f"/proc/{process.pid}/comm").read_text().startswith("unshare")
    os.kill(int(children[0]) if is_unshare else process.pid, number)
