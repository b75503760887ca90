"""Checks the files that a system's parts are given before anything starts, for the kinds that read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runner.experiment.base_topology import BaseTopology

if TYPE_CHECKING:
    from runner.experiment.swarm_topology import SwarmTopology


def check_files(topology: BaseTopology, base_dir: Path) -> None:
    """Read what the parts of a system are given. Blocks.

    Args:
        topology: Of any kind; of most there is nothing to check.
        base_dir: Where relative paths start.

    Raises:
        EnvironmentLacks: A file or a variable is missing, empty or too large.
    """
    if check := _CHECKS.get(topology.kind):
        check(topology, base_dir)


def _check_swarm(topology: SwarmTopology, base_dir: Path) -> None:
    from runner.stack.swarm.placed_files import placed_files  # noqa: PLC0415  (other kinds start faster)

    placed_files(topology, base_dir)


# `Any`: a check takes the model of its own kind only, as `runner.stack.protocols.StackOpener` does
_CHECKS: Final[Mapping[str, Callable[[Any, Path], None]]] = {"swarm": _check_swarm}
