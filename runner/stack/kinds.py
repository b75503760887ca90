"""Maps the specification's `topology.kind` to the function that opens that kind of stack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from runner.stack.compose import open_compose
from runner.stack.docker import open_docker
from runner.stack.external import open_external
from runner.stack.process import open_process
from runner.stack.protocols import StackOpener
from runner.stack.swarm import open_swarm

OPENERS: Final[Mapping[str, StackOpener]] = {
    "process": open_process,
    "docker": open_docker,
    "external": open_external,
    "compose": open_compose,
    "swarm": open_swarm,
}
