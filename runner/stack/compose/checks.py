"""Checks a specification against the compose file that it names, and this machine, before anything starts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Final

from msgspec import Struct

from runner.core.errors import EnvironmentLacks
from runner.core.secret_names import is_secret_name
from runner.experiment.compose import unclear_roles
from runner.experiment.compose_topology import ComposeTopology
from runner.experiment.suggestions import did_you_mean, join_words
from runner.stack.compose.config import Config
from runner.stack.docker.engine import Engine, EngineRefused, run_concurrently
from runner.stack.docker.responses import Id, Labels, Text
from runner.stack.ports import by_holder, is_free

_PROJECT: Final = "com.docker.compose.project"
_SHOWN: Final = 20


class _Port(Struct, frozen=True, rename="pascal"):
    public_port: int = 0


class _Holder(Struct, frozen=True, rename="pascal"):
    """A container that runs."""

    id: Id
    names: tuple[Text, ...]
    labels: Labels | None = None
    ports: tuple[_Port, ...] | None = None

    def __str__(self) -> str:
        project = (self.labels or {}).get(_PROJECT)
        name = self.names[0].lstrip("/") if self.names else self.id[:12]
        return f"the container {name}" + (f" of the compose project {project}" if project else "")

    @property
    def hint(self) -> str:
        """How to stop it."""
        project = (self.labels or {}).get(_PROJECT)
        return f"stop it with `docker compose -p {project} stop`" if project else "stop it"


def check_services(topology: ComposeTopology, config: Config) -> None:
    """Raise EnvironmentLacks if the specification names a service that the compose file does not have."""
    names = config.services
    used = [("target.service", topology.target.service)]
    used += [("scale", name) for name in topology.scale] + [("roles", name) for name in topology.roles]
    files = ", ".join(topology.files)
    for key, name in used:
        if name not in names:
            known = sorted(names)[:_SHOWN]
            raise EnvironmentLacks(
                f"topology.{key}: {files} has no service '{name}'"
                + (" with the given profiles" if topology.profiles else ""),
                hint=did_you_mean(name, known)
                or f"its services are {join_words(known, 'and')}; one with a profile needs topology.profiles",
            )
    for name in unclear_roles(names, topology.roles, topology.target.service):
        target = topology.target.service
        app, proxy = (name, target) if name == "app" else (target, name)
        raise EnvironmentLacks(
            f"topology.roles: {files} has a service '{name}' whose role is not given, and the target is "
            f"'{target}'",
            hint=f"such as roles: {{{app}: app, {proxy}: proxy}}",
        )
    for name, count in topology.scale.items():
        _check_scale(name, count, config)


def check_profiles(profiles: Iterable[str], known: Iterable[str]) -> None:
    """Raise EnvironmentLacks if a profile is not in the compose file."""
    known = sorted(known)
    for profile in profiles:
        if profile not in known:
            listed = f"its profiles are {join_words(known, 'and')}" if known else "it has no profiles"
            raise EnvironmentLacks(
                f"topology.profiles: the compose file has no profile '{profile}'",
                hint=did_you_mean(profile, known) or listed,
            )


def _check_scale(name: str, count: int, config: Config) -> None:
    service = config.services[name]
    if count == 1:
        return
    if service.container_name:
        reason = f"it has the fixed container_name {service.container_name}"
    elif port := next((port.fixed for port in service.published if port.fixed), None):
        reason = f"it publishes the fixed port {port}"
    else:
        return
    raise EnvironmentLacks(
        f"topology.scale: there cannot be {count} containers of {name}, because {reason}",
        hint='remove that from the compose file; ports: ["8080"] lets Docker choose a port of this machine',
    )


async def refuse_clashes(engine: Engine, config: Config) -> None:
    """Raise EnvironmentLacks if the file fixes a container's name or a port of this machine that is taken."""
    running = await engine.read(tuple[_Holder, ...], engine.api.containers)

    async def check_name(service: str, name: str) -> None:
        try:
            holder = await engine.read(_Named, engine.api.inspect_container, name)
        except EngineRefused as refused:
            if refused.status == 404:
                return
            raise
        project = (holder.config.labels or {}).get(_PROJECT)
        of = f" (of the compose project {project})" if project else ""
        raise EnvironmentLacks(
            f"the service {service} has the fixed container_name {name}, and a container{of} with this name "
            "exists already",
            hint="remove that container, or container_name from the compose file: a name exists once",
        )

    names = {name: service.container_name for name, service in config.services.items()}
    await run_concurrently(partial(check_name, service, name) for service, name in names.items() if name)
    for service, port in _fixed_ports(config):
        if not is_free(port):
            raise _taken(service, port, running)


class _Config(Struct, frozen=True, rename="pascal"):
    labels: Labels | None = None


class _Named(Struct, frozen=True, rename="pascal"):
    config: _Config


def _fixed_ports(config: Config) -> Iterator[tuple[str, int]]:
    for name, service in config.services.items():
        for port in service.published:
            if port.fixed:
                yield name, port.fixed


def _taken(service: str, port: int, running: Iterable[_Holder]) -> EnvironmentLacks:
    holder = next((one for one in running if any(p.public_port == port for p in one.ports or ())), None)
    by = f" by {holder}" if holder else by_holder(port)
    return EnvironmentLacks(
        f"port {port} of this machine, which the service {service} publishes, is already in use{by}",
        hint=f"{holder.hint if holder else 'stop that process'}, or publish another port: "
        'ports: ["8080"] lets Docker choose one',
    )


def environment_secrets(config: Config, texts: Mapping[str, bytes]) -> dict[str, str]:
    """Return variables of services that are called like secrets, and whose values come from outside.

    Args:
        config: What Compose makes of the files.
        texts: Content of the files: what is written there is no secret.
    """
    written = b"\n".join(texts.values())
    return {
        name: str(value)
        for service in config.services.values()
        for name, value in (service.environment or {}).items()
        if value is not None and len(str(value)) >= _MIN_SECRET and _is_secret(name, str(value), written)
    }


_MIN_SECRET: Final = 4


def _is_secret(name: str, value: str, written: bytes) -> bool:
    return is_secret_name(name) and value.encode() not in written
