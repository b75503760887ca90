"""Network namespaces that stand for machines: a bridge in one of its own, and one cable to each machine.

The bridge is not in the machine's own namespace, where br_netfilter would send its frames through the rules
of the machine's Docker Engine. So neither the machine's firewall nor its addresses are involved, and any
number of swarms may use the same addresses.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SUBNET = "10.213.77"
"""The first three numbers of all addresses; the last one of a node is its number."""
OPERATOR = "operator"
"""A machine beside the nodes, which reaches their published ports and they reach it."""
_OPERATOR_NUMBER = 100
_BRIDGE = "bridge"


def run(*command: str | Path, check: bool = True, **options: object) -> str:
    """Run a command to its end and return what it printed.

    Raises:
        RuntimeError: It failed; the message holds its error output.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip() or done.returncode}")
    return done.stdout


@dataclass(frozen=True)
class Network:
    """The namespaces of one swarm.

    Attributes:
        name: The swarm's.
        nodes: Names of its nodes, the first one has the number 1.
    """

    name: str
    nodes: tuple[str, ...]

    def namespace(self, machine: str) -> str:
        """Return the name of a machine's namespace, as `ip netns` shows it."""
        return f"lpsw-{self.name}-{machine}"

    def address(self, machine: str) -> str:
        """Return the address of a node or of the operator."""
        number = _OPERATOR_NUMBER if machine == OPERATOR else self.nodes.index(machine) + 1
        return f"{SUBNET}.{number}"

    def create(self) -> None:
        """Create the bridge and all machines."""
        bridge = self.namespace(_BRIDGE)
        run("ip", "netns", "add", bridge)
        run("ip", "-n", bridge, "link", "set", "lo", "up")
        run("ip", "-n", bridge, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", bridge, "link", "set", "br0", "up")
        for machine in (OPERATOR, *self.nodes):
            self._join(machine)

    def _join(self, machine: str) -> None:
        own, bridge, cable = self.namespace(machine), self.namespace(_BRIDGE), _cable(machine)
        run("ip", "netns", "add", own)
        run(
            *("ip", "-n", bridge, "link", "add", cable, "type", "veth", "peer", "name", "eth0"),
            *("netns", own),
        )
        run("ip", "-n", bridge, "link", "set", cable, "master", "br0", "up")
        run("ip", "-n", own, "link", "set", "lo", "up")
        run("ip", "-n", own, "addr", "add", f"{self.address(machine)}/24", "dev", "eth0")
        run("ip", "-n", own, "link", "set", "eth0", "up")

    def plug(self, node: str, *, connected: bool) -> None:
        """Pull a node's cable, or put it back."""
        state = "up" if connected else "down"
        run("ip", "-n", self.namespace(_BRIDGE), "link", "set", _cable(node), state)

    def inside(self, machine: str, command: Sequence[str]) -> list[str]:
        """Return a command that runs another one in a machine's network."""
        return ["nsenter", f"--net=/run/netns/{self.namespace(machine)}", *command]

    def pids(self) -> set[int]:
        """Return the processes that use one of the namespaces."""
        lines = (run("ip", "netns", "pids", self.namespace(machine), check=False) for machine in self._all())
        return {int(pid) for text in lines for pid in text.split()}

    def delete(self) -> None:
        """Delete all namespaces that are there."""
        for machine in self._all():
            run("ip", "netns", "delete", self.namespace(machine), check=False)

    def _all(self) -> tuple[str, ...]:
        return (OPERATOR, *self.nodes, _BRIDGE)


def _cable(machine: str) -> str:
    return f"to-{machine}"
