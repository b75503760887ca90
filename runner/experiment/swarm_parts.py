"""The parts of a topology of a Docker Swarm: app, services, proxy, and the files that they are given."""

import re
from functools import partial
from typing import Annotated, Final, Self, TypeAlias

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from runner.core.units import Bytes
from runner.experiment.app import App, Proxy, Replicas
from runner.experiment.base_model import FILE_PROBLEM, SpecModel, conflict_if, invalid_value, refuse
from runner.experiment.fields import EnvName, Text, file_path
from runner.experiment.node_constraint import Constraints
from runner.experiment.services import PathInside, Service
from runner.experiment.suggestions import display

MAX_PLACED: Final = 64
MAX_CONFIG: Final[Bytes] = 1_023_999
"""Largest config that Docker Swarm accepts; it refuses empty ones."""
MAX_SECRET: Final[Bytes] = 512_000
SECRETS_FOLDER: Final = "/run/secrets"
"""Where each secret of a part is inside its container, as a file with its name."""

_OBJECT_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,29}[a-z0-9])?")


def _object_name(value: str) -> str:
    if not _OBJECT_NAME.fullmatch(value):
        message = "the name should be 1 to 31 of a-z, 0-9, '.', '_' and '-', not"
        raise invalid_value(f"{message} {display(value)}")
    return value


def _placed_file(value: str, info: ValidationInfo, *, most: Bytes) -> str:
    """Return the path of a file that a swarm takes, as far as that is known."""
    file_path(value, "settings.json")
    problem = info.context.get(FILE_PROBLEM) if info.context else None
    if problem and (message := problem(value, most=most, least=1)):
        raise invalid_value(message)
    return value


ObjectName: TypeAlias = Annotated[Text, AfterValidator(_object_name)]
ConfigFile: TypeAlias = Annotated[
    Text, AfterValidator(partial(_placed_file, most=MAX_CONFIG)), Field(max_length=1000)
]
SecretFile: TypeAlias = Annotated[
    Text, AfterValidator(partial(_placed_file, most=MAX_SECRET)), Field(max_length=1000)
]
UsedSecrets: TypeAlias = Annotated[
    tuple[ObjectName, ...],
    Field(
        default=(),
        max_length=MAX_PLACED,
        description="Names of topology.secrets that it may read, as files in /run/secrets.",
        examples=[["token"]],
    ),
]
UsedConfigs: TypeAlias = Annotated[
    dict[ObjectName, PathInside],
    Field(
        default_factory=dict,
        max_length=MAX_PLACED,
        description="Names of topology.configs to their paths inside the container.",
        examples=[{"settings": "/etc/app/settings.json"}],
    ),
]


class SwarmSecret(SpecModel):
    """A secret that parts can read; no archive contains its value."""

    file: SecretFile | None = Field(
        None, description="File with the value, relative to the specification; at most 500 kB."
    )
    env: EnvName | None = Field(None, description="Environment variable of the runner with the value.")

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        both = self.file is not None and self.env is not None
        neither = self.file is None and self.env is None
        refuse(
            conflict_if(both or neither, ("env",) if both else (), "exactly one of file or env is required")
        )
        return self


class SwarmConfig(SpecModel):
    """A file that parts can read."""

    file: ConfigFile = Field(description="The file, relative to the specification; at most 1,000 kB.")


class SwarmApp(App):
    """The application under test, as tasks on nodes."""

    replicas: Replicas = Field(1, description="Number of tasks; more than one requires a proxy.")
    nodes: Constraints
    secrets: UsedSecrets
    configs: UsedConfigs


class SwarmService(Service):
    """A service beside the app, as a task on a node."""

    nodes: Constraints
    secrets: UsedSecrets
    configs: UsedConfigs


class SwarmProxy(Proxy):
    """Nginx in front of the replicas, as a task on a node."""

    nodes: Constraints
