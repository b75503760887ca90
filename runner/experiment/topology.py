"""The system to build: the ``topology`` of a configuration, one model for each kind.

Other packages use the members that all kinds have, and never check the kind; only the module in
`runner.stack` that builds a kind uses its model. A new kind needs a model, a place in `Topology`, and an
entry in `runner.stack.kinds`.
"""

from typing import Annotated, Any, TypeAlias, get_args

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from runner.experiment.base_model import WhenUsed
from runner.experiment.compose_topology import ComposeTopology
from runner.experiment.external_topology import ExternalTopology
from runner.experiment.started_topology import DockerTopology, ProcessTopology
from runner.experiment.swarm_topology import SwarmTopology


class _ByKind:
    """Tells the models of a union apart by their `kind`, and builds each when it is used."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of a discriminated union."""
        kinds = {get_args(model.model_fields["kind"].annotation)[0]: model for model in get_args(source)}
        choices = {
            kind: handler.generate_schema(Annotated[model, WhenUsed()]) for kind, model in kinds.items()
        }
        return core_schema.tagged_union_schema(choices, "kind", from_attributes=True)


Topology: TypeAlias = Annotated[
    ProcessTopology | DockerTopology | ExternalTopology | ComposeTopology | SwarmTopology, _ByKind()
]
