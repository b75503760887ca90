"""The names of services, and maps of them: what systems and requests need to know without their models."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, TypeVar

from pydantic import AfterValidator, Field

from runner.core.codes import Role
from runner.experiment.base_model import WhenUsed, invalid_value
from runner.experiment.fields import Text
from runner.experiment.suggestions import display

if TYPE_CHECKING:
    from runner.experiment.services import Service, Watched

    _Service: TypeAlias = Service
    _Watched: TypeAlias = Watched
else:  # the program starts faster without these models
    _Service = Annotated[Any, WhenUsed("runner.experiment.services", "Service")]
    _Watched = Annotated[Any, WhenUsed("runner.experiment.services", "Watched")]

MAX_SERVICES: Final = 32

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,30}")
_DAEMONS: Final = ("dockerd", "containerd", "docker-proxy", "containerd-shim")
_TAKEN: Final = frozenset({*Role, *_DAEMONS, "nginx", "host"})
_NUMBERED: Final = re.compile(rf"(?:app|generator|{'|'.join(_DAEMONS)})-[0-9]+")


def is_service_name(name: str) -> bool:
    """Return whether a service can have this name: it differs from every role and every other subject."""
    return bool(_NAME.fullmatch(name)) and name not in _TAKEN and not _NUMBERED.fullmatch(name)


def _service_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        message = "the name of a service should be 1 to 31 of a-z, 0-9 and '-', and begin with a letter, not"
        raise invalid_value(f"{message} {display(value)}")
    if not is_service_name(value):
        raise invalid_value(
            f"a service cannot be called {display(value)}: the report uses this name", "rename it"
        )
    return value


ServiceName: TypeAlias = Annotated[Text, AfterValidator(_service_name)]

Services: TypeAlias = Annotated[
    dict[ServiceName, _Service],
    Field(
        default_factory=dict,
        max_length=MAX_SERVICES,
        description="Services that are started before the app, in this order, each ready before the next "
        "starts: databases, caches, upstreams.",
    ),
]
WatchedServices: TypeAlias = Annotated[
    dict[ServiceName, _Watched],
    Field(
        default_factory=dict,
        max_length=MAX_SERVICES,
        description="Services that run already on this host and are observed: by port, pid or name.",
        examples=[{"db": {"port": 5432}}],
    ),
]


_AnyService = TypeVar("_AnyService", bound="Service")


def with_doubled_limit(
    services: Mapping[str, _AnyService], name: str, limit: Literal["cpus", "memory"]
) -> dict[str, _AnyService] | None:
    """Return services of which one has twice the CPU or memory; None if no limit of it is known."""
    service = services.get(name)
    now = getattr(service, limit) if service else None
    if service is None or now is None:
        return None
    return {**services, name: service.model_copy(update={limit: now * 2})}


def words_of(
    command: Sequence[str] | None, env: Mapping[str, str]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the place and the text of each word of a command and each value of an environment."""
    yield from ((("command", at), word) for at, word in enumerate(command or ()))
    yield from ((("env", key), value) for key, value in env.items())
