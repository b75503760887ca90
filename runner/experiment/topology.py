"""The system to build: the ``topology`` of a configuration, one model for each kind.

Other packages use the members that all kinds have, and never check the kind; only the module in
`runner.stack` that builds a kind uses its model. A new kind needs a model, a place in `Topology`, and an
entry in `runner.stack.kinds`.
"""

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, get_args

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from runner.experiment.base_model import WhenUsed
from runner.experiment.started_topology import DockerTopology, ProcessTopology

if TYPE_CHECKING:
    from runner.experiment.compose_topology import ComposeTopology
    from runner.experiment.external_topology import ExternalTopology
    from runner.experiment.swarm_topology import SwarmTopology
else:  # the program starts faster without these models and those of their parts
    ExternalTopology = Annotated[Any, WhenUsed("runner.experiment.external_topology", "ExternalTopology")]
    ComposeTopology = Annotated[Any, WhenUsed("runner.experiment.compose_topology", "ComposeTopology")]
    SwarmTopology = Annotated[Any, WhenUsed("runner.experiment.swarm_topology", "SwarmTopology")]


class _ByKind:
    """Tells the models of a union apart by their `kind`, and builds each when it is used.

    Args:
        kinds: Of the models, in their order.
    """

    def __init__(self, *kinds: str) -> None:
        self.kinds = kinds

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of a discriminated union."""
        choices = {
            kind: handler.generate_schema(Annotated[model, WhenUsed()] if isinstance(model, type) else model)
            for kind, model in zip(self.kinds, get_args(source), strict=True)
        }
        return core_schema.tagged_union_schema(choices, "kind", from_attributes=True)


Topology: TypeAlias = Annotated[
    ProcessTopology | DockerTopology | ExternalTopology | ComposeTopology | SwarmTopology,
    _ByKind("process", "docker", "external", "compose", "swarm"),
]
