"""Topology `compose`: the user's own compose file, as it is, and which of its services takes which part."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import count
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, Field

from runner.core.codes import Role, RoleName
from runner.experiment.app import Port
from runner.experiment.base_model import Conflict, SpecModel, conflict_if, invalid_value
from runner.experiment.fields import Text, file_path
from runner.experiment.service_names import is_service_name
from runner.experiment.suggestions import did_you_mean, display

_MAX_NAME: Final = 20
_SERVICE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def _service(value: str) -> str:
    if not _SERVICE.fullmatch(value):
        raise invalid_value(f"should be the name of a service in the compose file, not {display(value)}")
    return value


def _role(value: str) -> str:
    if value not in (Role.APP, Role.PROXY) and not is_service_name(value):
        hint = did_you_mean(value, (Role.APP, Role.PROXY))
        message = "should be app, proxy, or a name of a-z, 0-9 and '-' that no other role has, not"
        raise invalid_value(f"{message} {display(value)}", hint)
    return value


def _file(value: str) -> str:
    return file_path(value, "docker-compose.yml")


ComposeService: TypeAlias = Annotated[Text, AfterValidator(_service)]
ComposeRole: TypeAlias = Annotated[Text, AfterValidator(_role)]
ComposeFile: TypeAlias = Annotated[Text, AfterValidator(_file)]


class ComposeTarget(SpecModel):
    """A service of the compose file, and its port."""

    service: ComposeService = Field(description="Service of the compose file.", examples=["web"])
    port: Port = Field(description="Port that it listens on, inside its container.", examples=[8080])


def role_names(
    services: Iterable[str], roles: Mapping[str, RoleName], target: str, watched: Collection[str] = ()
) -> dict[str, RoleName]:
    """Return the role of every service of a compose file.

    The target is the app, unless `roles` gives it a role or makes another service the app; then the target is
    in front of that one. Other services are roles by their own names.

    Args:
        services: All of them.
        roles: `ComposeTopology.roles`.
        target: The service that the load goes to.
        watched: Names of services that run already.
    """
    has_app = Role.APP in roles.values()
    known = {target: Role.PROXY.value if has_app else Role.APP.value, **roles}
    names: dict[str, RoleName] = {}
    for service in services:
        taken = {*names.values(), *known.values(), *watched}
        names[service] = known.get(service) or _own_name(service, taken)
    return names


def unclear_roles(services: Iterable[str], roles: Mapping[str, RoleName], target: str) -> list[str]:
    """Return the services that are called as a part of every system, and have no role."""
    return [
        service
        for service in services
        if service in (Role.APP, Role.PROXY) and service not in roles and service != target
    ]


def role_conflicts(roles: Mapping[str, RoleName], watched: Collection[str]) -> Iterator[Conflict | None]:
    """Yield what is wrong with `ComposeTopology.roles`: a role without an app, or one name for two."""
    if roles and Role.PROXY in roles.values() and Role.APP not in roles.values():
        yield Conflict(("roles",), "there is a proxy, but no app", "such as roles: {web: app, nginx: proxy}")
    seen: dict[RoleName, str] = {}
    for service, role in roles.items():
        message = f"{role} is the name of a watched service"
        yield conflict_if(role in watched, ("roles", service), message, "rename one of them")
        if role not in (Role.APP, Role.PROXY):
            shared = role in seen
            yield conflict_if(shared, ("roles", service), f"{role} is already the role of {seen.get(role)}")
            seen[role] = service


def _own_name(service: str, taken: Collection[str]) -> RoleName:
    plain = re.sub(r"[^a-z0-9]+", "-", service.lower()).strip("-")
    plain = (plain if plain[:1].isalpha() else f"service-{plain}")[:_MAX_NAME].rstrip("-")
    if not is_service_name(plain):
        plain = f"{plain}-service"
    candidates = (plain if number == 1 else f"{plain}-n{number}" for number in count(1))
    return next(name for name in candidates if name not in taken)
