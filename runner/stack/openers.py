"""The specification's word for a topology, and what brings it up."""

from __future__ import annotations

from typing import Final

from runner.stack.contract import StackOpener
from runner.stack.docker import open_docker
from runner.stack.external import open_external
from runner.stack.process import open_process

OPENERS: Final[dict[str, StackOpener]] = {
    "process": open_process,
    "docker": open_docker,
    "external": open_external,
}
