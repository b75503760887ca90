"""What all kinds of topology have in common."""

from typing import ClassVar, Literal, Self

from runner.experiment.base_model import SpecModel


class BaseTopology(SpecModel):
    """Members that all kinds share.

    Besides, each kind has `app`, `proxy`, `replicas` and `external_url` (of a service that already runs),
    None where it does not apply, `resolve`, `watch`, `known_services`, and `service_names` (of all services;
    None where they are known only when the stack runs).
    """

    kind: str
    needs_load_nodes: ClassVar[bool] = False
    """Whether only nodes of a cluster can send load to it."""

    @property
    def why_nodes_cannot_reach(self) -> str:
        """Why other machines cannot send load to it, as a clause; empty if they may be able to."""
        return ""

    @property
    def input_files(self) -> tuple[str, ...]:
        """The files that describe the system, relative to the specification."""
        return ()

    @property
    def private_files(self) -> tuple[str, ...]:
        """Files with values for them, which no archive keeps; they may be absent."""
        return ()

    @property
    def file_keys(self) -> dict[str, str]:
        """Path of each of these files to the key of the specification that names it."""
        return {}

    @property
    def build_folders(self) -> dict[str, str]:
        """Part to the folder from which its image is built: the app, and services."""
        return {}

    def without_forwarder(self) -> Self | None:
        """Return a copy that load reaches without docker-proxy; None if it does not use docker-proxy."""
        return None

    def on_host_network(self) -> Self | None:
        """Return a copy in the host's network namespace; None if that is not possible or no change."""
        return None

    def with_another_replica(self) -> Self | None:
        """Return a copy with one more replica behind the same proxy; None if that is not possible."""
        return None

    def with_larger_service(self, name: str, limit: Literal["cpus", "memory"]) -> Self | None:
        """Return a copy in which a service has twice the CPU or memory; None if no limit of it is known."""
        del name, limit
        return None
