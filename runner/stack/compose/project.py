"""One compose project of this run: the user's files, and a file of ours that is merged into them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from runner.core.errors import EnvironmentLacks, StackFailed
from runner.core.masking import without_escapes
from runner.core.units import Seconds
from runner.experiment.compose_topology import ComposeTopology
from runner.stack.compose.checks import check_profiles
from runner.stack.compose.config import Build, Config, Service, read_config
from runner.stack.compose.tool import Finished, Tool
from runner.stack.docker import labels
from runner.stack.output import printable as line
from runner.stack.paths import printable
from runner.stack.protocols import StackContext

_CONFIG_WITHIN_S: Final[Seconds] = 60.0
_BUILD_WITHIN_S: Final[Seconds] = 3600.0
_START_MARGIN_S: Final[Seconds] = 30.0
_UNSAFE: Final = re.compile(r"[^a-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Project:
    """What to run, and by which name.

    Attributes:
        tool: Runs it.
        topology: Its part of the specification.
        name: Of the project; no other run has it.
        run_id: Of this run.
        base_dir: Where the paths of files start.
        override: Where the file of ours is written.
    """

    tool: Tool
    topology: ComposeTopology
    name: str
    run_id: str
    base_dir: Path
    override: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """The user's files."""
        return tuple((self.base_dir / name).absolute() for name in self.topology.files)

    async def config(self) -> Config:
        """Return what Compose makes of the user's files.

        Raises:
            EnvironmentLacks: A file or a profile does not exist.
            StackFailed: Compose refuses a file; `details` are its own messages.
        """
        self._require_files()
        as_json = ["--format", "json"] if self.tool.major > 1 else []
        finished = await self._call(["config", *as_json], within=_CONFIG_WITHIN_S)
        if finished.status:
            raise StackFailed(
                f"Compose {self.tool.version} refuses {', '.join(self.topology.files)}: {_reason(finished)}",
                details=finished.lines,
            )
        config = read_config(finished.stdout, is_json=self.tool.major > 1)
        if self.topology.profiles:
            check_profiles(self.topology.profiles, await self._profiles(config))
        return config.enabled(self.topology.profiles)

    async def _profiles(self, config: Config) -> set[str]:
        """Return the profiles of the files; version 1 lists the services of all of them."""
        if self.tool.major == 1:
            return {profile for service in config.services.values() for profile in service.profiles}
        finished = await self._call(["config", "--profiles"], within=_CONFIG_WITHIN_S)
        return set(finished.stdout.decode(errors="replace").split())

    def write_override(self, config: Config, images: Mapping[str, str], bases: Mapping[str, str]) -> None:
        """Write the file that makes this a project of this run.

        It labels everything that Compose creates, and names each volume and network, so that none with a name
        that the user's file fixes is used, and removed, by this run.

        Args:
            config: The user's files.
            images: Service to image, where another one is used.
            bases: Service to base image, for a build with an argument ``BASE``.
        """
        services = {
            name: self._service(name, service, images, bases) for name, service in config.services.items()
        }
        content: dict[str, Any] = {
            "services": services,
            "networks": {name: self._resource(name, "network") for name in config.own_networks},
            "volumes": {name: self._resource(name, "volume") for name in config.own_volumes},
        }
        if self.tool.major == 1 and config.version:
            content["version"] = config.version  # all files must have the same one
        text = json.dumps(content, indent=1).replace("$", "$$")  # a literal $, not a variable
        self.override.write_text(text, encoding="utf-8")

    async def build(self) -> None:
        """Build the images of services that have a build section.

        Raises:
            StackFailed: That failed; `details` are the last lines.
        """
        finished = await self._call(["build"], within=_BUILD_WITHIN_S, ours=True)
        if finished.status:
            lines = (*_text_lines(finished.stdout), *finished.lines)[-20:]
            raise StackFailed(f"building the images failed: {_reason(finished)}", details=lines)

    async def start(self) -> Finished:
        """Create and start all containers, and return how that ended; their images exist already.

        Raises:
            StackFailed: It does not end.
        """
        scale = [f"--scale={service}={count}" for service, count in self.topology.scale.items()]
        within = self.topology.ready_within + _START_MARGIN_S
        return await self._call(["up", "--detach", "--no-build", *scale], within=within, ours=True)

    async def _call(self, arguments: Sequence[str], *, within: Seconds, ours: bool = False) -> Finished:
        files = [*self.files, *([self.override] if ours else [])]
        options = [
            f"--project-name={self.name}",
            *(f"--file={file}" for file in files),
            *(f"--env-file={(self.base_dir / name).absolute()}" for name in self.topology.env_files),
            *(f"--profile={profile}" for profile in self.topology.profiles),
        ]
        return await self.tool.run([*options, *arguments], within=within)

    def _require_files(self) -> None:
        for key, names in (("files", self.topology.files), ("env_files", self.topology.env_files)):
            for name in names:
                if not (self.base_dir / name).is_file():
                    raise EnvironmentLacks(
                        f"topology.{key}: there is no file {printable((self.base_dir / name).absolute())}",
                        hint="the path is relative to the specification (for an archive, to --base-dir)",
                    )

    def _service(
        self, name: str, service: Service, images: Mapping[str, str], bases: Mapping[str, str]
    ) -> dict[str, Any]:
        override: dict[str, Any] = {"labels": labels.run_labels(self.run_id, name)}
        if service.build is not None:
            override["image"] = self.built_image(name, service.build)
            override["build"] = {"labels": {labels.IMAGE: "app"}}
            if name in bases:
                override["build"]["args"] = {"BASE": bases[name]}
        elif name in images:
            override["image"] = images[name]
        return override

    def _resource(self, name: str, role: str) -> dict[str, Any]:
        return {"name": f"{self.name}_{name}", "labels": labels.run_labels(self.run_id, role)}

    def built_image(self, service: str, build: Build) -> str:
        """Return the name of a service's image: the same for each run, so that its layers are kept."""
        return f"loadproof-app/{_UNSAFE.sub('-', service.lower()).strip('-_')}:{build.fingerprint}"


def new_project(tool: Tool, topology: ComposeTopology, context: StackContext) -> Project:
    """Return the project of a configuration of this run."""
    name = _UNSAFE.sub("-", f"loadproof-{context.run_id}-{context.name}".lower())
    override = context.scratch / f"{name}.override.yml"
    return Project(tool, topology, name, context.run_id, context.base_dir, override)


def _reason(finished: Finished) -> str:
    """Return the message of a call that failed: its last line."""
    return finished.lines[-1] if finished.lines else f"it exited with status {finished.status}"


def _text_lines(output: bytes) -> list[str]:
    return [line(text) for text in without_escapes(output.decode(errors="replace")).splitlines() if text]
