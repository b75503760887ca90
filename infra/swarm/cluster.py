"""A real Docker Swarm of several machines on one, for tests and for trying things out.

Every node is a Docker Engine with a containerd of its own, in network, mount, UTS, IPC, PID and time
namespaces of its own. One signal to a node's outermost process ends everything on it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from infra.swarm import engine_api
from infra.swarm.groups import weigh
from infra.swarm.host_images import borrow_images
from infra.swarm.images import bring_images, copy_images, thin_archive
from infra.swarm.namespaces import Network, run
from infra.swarm.traces import boot_id, has_argument, remove_groups, started

ROOT = Path("/var/tmp/lpsw")
"""Short, because the path of a Unix socket has at most 107 bytes."""
_RECORD = "owner.json"
_DATA = "data"
"""In memory, because a disk takes minutes to write and remove so many files while others use it."""
_POOL = "10.214.0.0/16"
_BRIDGE_POOL = "base=10.215.0.0/16,size=24"
_RARELY = "400"
"""When an engine collects its garbage, in percent of what is in use: by default, each process that it starts
of itself does so while it begins."""
_HEARTBEAT = "2s"
"""A node is down after about three of them: 14 s with Docker's own 5 s."""
_STARTS_WITHIN_S = 180
_ENDS_WITHIN_S = 30
_NAMESPACES = (
    *("--uts", "--ipc", "--mount", "--propagation=slave"),
    *("--pid", "--fork", "--kill-child=KILL", "--mount-proc"),
)
_NODE = """
hostname "$1"; shift
mkdir -p /run/containerd && mount -t tmpfs tmpfs /run/containerd
exec docker-init -s -- dockerd "$@"
"""
"""docker-init ends orphans, which dockerd does not; shims put their sockets into /run/containerd, whatever
dockerd's own folder is."""


@dataclass
class Cluster:
    """A swarm whose first node is its only manager.

    Attributes:
        name: Part of the names of its folder, namespaces and control groups.
        size: How many nodes it has.
        skews_s: By how many seconds the monotonic clock of each node is ahead of this machine's.
        spends_memory: Whether engines use 30 MB more each, so that what they start of themselves for each
            network and container takes a fifth less CPU: for tests, not for measurements.
    """

    name: str
    size: int = 3
    skews_s: Sequence[int] = ()
    spends_memory: bool = False
    _killed: set[str] = field(default_factory=set)
    _unplugged: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.nodes = tuple(f"node-{number}" for number in range(1, self.size + 1))
        self.manager = self.nodes[0]
        self.folder = ROOT / self.name
        self.network = Network(self.name, self.nodes)

    def url(self, node: str) -> str:
        """Return the URL of a node's engine, for DOCKER_HOST."""
        return f"unix://{self._socket(node)}"

    def _socket(self, node: str) -> Path:
        return self.folder / f"{node}.sock"

    def get(self, node: str, path: str) -> Any:
        """Return what a node's engine responds to a GET of its API, decoded; far cheaper than `docker`."""
        return engine_api.get(self._socket(node), path)

    def address(self, machine: str) -> str:
        """Return the address of a node or of the operator, as all of them reach it."""
        return self.network.address(machine)

    def docker(self, node: str, *words: str | Path) -> str:
        """Run the `docker` command on a node's engine and return what it printed."""
        return run("docker", "--host", self.url(node), *words).strip()

    def skew_s(self, node: str) -> int:
        """Return by how many seconds a node's monotonic clock is ahead of this machine's."""
        number = self.nodes.index(node)
        return self.skews_s[number] if number < len(self.skews_s) else 0

    def up(
        self,
        *,
        images: Sequence[str] = (),
        fill: Callable[[], None] = lambda: None,
        owner: int | None = None,
    ) -> None:
        """Bring the swarm up.

        Args:
            images: Of this machine's own engine; all nodes have them from their start.
            fill: Makes further images on the manager's engine, which all nodes have as well.
            owner: The process without which the swarm is of no use, so that a later one removes it; None to
                keep it until it is taken down.

        Raises:
            RuntimeError: There is one of this name, or something failed; nothing of this one is left.
        """
        sweep()
        if self.folder.exists():
            raise RuntimeError(f"there is a swarm {self.name} already: {self.folder}")
        self._make_folder(owner)
        try:
            self.network.create()
            weigh(self.name, self.size)
            not_copied = borrow_images(images, self._data(self.manager))
            self._start(self.manager)
            self._wait_for_engine(self.manager)
            bring_images(not_copied, self.url(self.manager))
            fill()
            for node in self.nodes[1:]:
                copy_images(self._data(self.manager), self._data(node))
                self._start(node)
            self._join_all()
        except BaseException:
            self.down()
            raise

    def _make_folder(self, owner: int | None) -> None:
        ROOT.mkdir(mode=0o700, exist_ok=True)
        if ROOT.is_symlink() or ROOT.stat().st_uid or ROOT.stat().st_mode & 0o077:
            raise RuntimeError(f"{ROOT} is not a folder of root alone")
        new = ROOT / f".{self.name}.{os.getpid()}"
        new.mkdir()
        (new / "config.json").write_text("{}")
        record = {"size": self.size, "boot": boot_id(), "owner": owner, "started": owner and started(owner)}
        (new / _RECORD).write_text(json.dumps(record))
        new.rename(self.folder)
        (self.folder / _DATA).mkdir()
        run("mount", "-t", "tmpfs", "-o", "mode=0700,size=75%", f"lpsw-{self.name}", self.folder / _DATA)

    def _data(self, node: str) -> Path:
        return self.folder / _DATA / node

    def _start(self, node: str) -> None:
        """Start a node detached from this process, so that tests do not take it for a process of theirs.

        Numbers of its processes before are removed: other processes have them now, and an engine that takes
        one of these for its containerd waits for it in vain.
        """
        for left in ("pid", "run/containerd/containerd.pid"):
            (self.folder / node / left).unlink(missing_ok=True)
        skew = self.skew_s(node)
        clocks = ["--time", "--monotonic", str(skew), "--boottime", str(skew)] if skew else []
        command = self.network.inside(
            node, ["unshare", *clocks, *_NAMESPACES, "sh", "-c", _NODE, "node", node, *self._options(node)]
        )
        log = self.folder / f"{node}.log"
        script = 'log=$1; shift; setsid "$@" </dev/null >>"$log" 2>&1 & echo $!'
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LOADPROOF")}
        if self.spends_memory:
            environment["GOGC"] = _RARELY
        pid = int(run("sh", "-c", script, "start", log, *command, env=environment))
        (self.folder / f"{node}.pid").write_text(json.dumps([pid, started(pid)]))

    def _options(self, node: str) -> list[str]:
        home = self.folder / node
        return [
            f"--host={self.url(node)}",
            f"--data-root={self._data(node)}",
            f"--exec-root={home}/run",
            f"--pidfile={home}/pid",
            f"--config-file={self.folder}/config.json",
            f"--cgroup-parent=/lpsw-{self.name}/{node}",
            "--exec-opt=native.cgroupdriver=cgroupfs",
            f"--default-address-pool={_BRIDGE_POOL}",
            f"--insecure-registry={self.address(node).rpartition('.')[0]}.0/24",
        ]

    def _wait_for_engine(self, node: str) -> None:
        """Wait until a node's engine responds.

        An engine gives up when its containerd is not up within 15 s, as on a busy machine: it starts again.
        """

        def responds() -> bool:
            if not self._is_running(node):
                self._start(node)
            return engine_api.responds(self._socket(node))

        _wait_until(responds, f"the engine of {node} does not start", details=lambda: self._last_lines(node))

    def _last_lines(self, node: str) -> str:
        log = self.folder / f"{node}.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-5:])

    def _is_running(self, node: str) -> bool:
        pid, start = self._outermost(node)
        return bool(start) and started(pid) == start

    def _outermost(self, node: str) -> tuple[int, int | None]:
        """Return the first process of a node as this machine numbers it, and its start."""
        pid, start = json.loads((self.folder / f"{node}.pid").read_text())
        return pid, start

    def _join_all(self) -> None:
        manager = self.manager
        self.docker(
            manager, "swarm", "init", f"--advertise-addr={self.address(manager)}",
            f"--default-addr-pool={_POOL}", "--default-addr-pool-mask-length=24", "--task-history-limit=2",
            f"--dispatcher-heartbeat={_HEARTBEAT}",
        )  # fmt: skip
        token = self.docker(manager, "swarm", "join-token", "--quiet", "worker")
        with ThreadPoolExecutor() as threads:
            for _ in threads.map(partial(self._join, token), self.nodes[1:]):
                pass  # what one raises is raised here
        self.wait_ready()

    def _join(self, token: str, node: str) -> None:
        self._wait_for_engine(node)
        join = ["swarm", "join", f"--advertise-addr={self.address(node)}", "--token", token]
        self.docker(node, *join, f"{self.address(self.manager)}:2377")

    def ready(self) -> set[str]:
        """Return the nodes that the manager holds for ready."""
        listed = self.get(self.manager, "/nodes")
        return {node["Description"]["Hostname"] for node in listed if node["Status"]["State"] == "ready"}

    def wait_ready(self) -> None:
        """Wait until the manager holds all nodes for ready.

        Raises:
            RuntimeError: One is not within three minutes.
        """

        def are_ready() -> bool:
            with suppress(RuntimeError):  # a manager that has just started has no leader
                return self.ready() == set(self.nodes)
            return False

        _wait_until(are_ready, "not all nodes become ready")

    def pid(self, node: str) -> int:
        """Return the first process of a node: what is in its /proc is that node's."""
        outermost, _ = self._outermost(node)
        return int(Path(f"/proc/{outermost}/task/{outermost}/children").read_text().split()[0])

    def kill(self, node: str) -> None:
        """End everything on a node at once, as a loss of power does."""
        self._killed.add(node)
        self._end(node)

    def unplug(self, node: str) -> None:
        """Pull a node's cable."""
        self._unplugged.add(node)
        self.network.plug(node, connected=False)

    def restore(self) -> None:
        """Mend what `kill` and `unplug` broke, and wait until all nodes are ready."""
        if not self._killed and not self._unplugged:
            return
        for node in self._unplugged:
            self.network.plug(node, connected=True)
        for node in self._killed:
            self._start(node)
        for node in self._killed:
            self._wait_for_engine(node)
        self._killed.clear()
        self._unplugged.clear()
        self.wait_ready()

    def distribute(self, image: str, nodes: Sequence[str] | None = None) -> None:
        """Bring an image of the manager's engine to other nodes, by default to all; ids stay equal."""
        nodes = nodes or self.nodes[1:]
        with thin_archive(self.url(self.manager), image, [self.url(node) for node in nodes]) as archive:
            for node in nodes:
                self.docker(node, "load", "--quiet", "--input", archive)

    def down(self) -> None:
        """Remove every trace of the swarm, also of one that another process brought up.

        Raises:
            RuntimeError: Something of it cannot be removed.
        """
        for node in self.nodes:
            self._end(node)
        _wait_until(lambda: not self.network.pids(), f"processes of the swarm {self.name} do not end")
        self.network.delete()
        _wait_until(lambda: remove_groups(f"lpsw-{self.name}"), "control groups cannot be removed")
        if self.folder.exists():
            run("umount", self.folder / _DATA, check=(self.folder / _DATA).is_mount())
            shutil.rmtree(self.folder)

    def _end(self, node: str) -> None:
        with suppress(FileNotFoundError):
            if self._is_running(node):
                os.kill(self._outermost(node)[0], signal.SIGKILL)
        option = f"--data-root={self._data(node)}"
        _wait_until(lambda: not has_argument(option), f"{node} does not end", within_s=_ENDS_WITHIN_S)


@contextmanager
def open_cluster(cluster: Cluster, images: Sequence[str], fill: Callable[[], None]) -> Iterator[Cluster]:
    """Bring a swarm up for the length of a block of this process."""
    cluster.up(images=images, fill=fill, owner=os.getpid())
    try:
        yield cluster
    finally:
        cluster.down()


def size_of(name: str) -> int | None:
    """Return how many nodes the swarm of a name has; None if there is none."""
    record = ROOT / name / _RECORD
    return int(json.loads(record.read_text())["size"]) if record.exists() else None


def sweep() -> list[str]:
    """Take down every swarm whose owner has ended, such as a killed session of tests; return their names."""
    gone = []
    for record in ROOT.glob(f"*/{_RECORD}"):
        owner = json.loads(record.read_text())
        lives = owner["boot"] == boot_id() and (
            not owner["owner"] or started(owner["owner"]) == owner["started"]
        )
        if not lives:
            gone.append(record.parent.name)
            Cluster(record.parent.name, owner["size"]).down()
    return gone


def unusable() -> str | None:
    """Return why no swarm can be brought up on this machine, None if one can."""
    if os.geteuid():
        return "a swarm on one machine needs root"
    for command in ("dockerd", "docker", "docker-init", "ip", "nsenter", "unshare", "iptables"):
        if not shutil.which(command):
            return f"{command} is not installed"
    trial = ["unshare", "--net", "ip", "link", "add", "type", "vxlan", "id", "1", "dstport", "4789"]
    if subprocess.run(trial, capture_output=True, check=False).returncode:
        return "the kernel has no VXLAN"
    if subprocess.run(["unshare", "--time", "true"], capture_output=True, check=False).returncode:
        return "the kernel has no time namespaces"
    return None


def _wait_until(
    condition: Callable[[], bool],
    failure: str,
    *,
    details: Callable[[], str] = lambda: "",
    within_s: float = _STARTS_WITHIN_S,
) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{failure} within {within_s} s {details()}".strip())
        time.sleep(0.05)
