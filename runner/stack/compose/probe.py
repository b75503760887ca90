"""Asks Compose what a compose file contains, without starting anything: for `runner init`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from runner.experiment.compose_topology import ComposeTopology
from runner.experiment.init_compose import ComposeService
from runner.stack.compose.config import Service
from runner.stack.compose.project import Project
from runner.stack.compose.tool import find_tool
from runner.stack.protocols import Unguarded

_ANY_TARGET = {"service": "web", "port": 80}


async def read_services(file: Path) -> Mapping[str, ComposeService]:
    """Return the services of a compose file.

    Raises:
        EnvironmentLacks: There is no Compose.
        StackFailed: It refuses the file.
    """
    tool = await find_tool(Unguarded(), "", {})
    topology = ComposeTopology.model_validate(
        {"kind": "compose", "files": [file.name], "target": _ANY_TARGET}
    )
    project = Project(tool, topology, "loadproof-init", "", file.parent, file)
    config = await project.config()
    return {name: _service(service) for name, service in config.services.items()}


def _service(service: Service) -> ComposeService:
    check = (service.healthcheck or {}).get("test") or ""
    return ComposeService(
        image="" if service.build else service.image or "",
        ports=tuple(port.target for port in service.published if port.protocol == "tcp"),
        exposed=service.exposed,
        check=" ".join(map(str, check)) if isinstance(check, list) else str(check),
        depends_on=tuple(service.depends_on or ()),
    )
