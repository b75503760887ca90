"""Counter-experiments: for each verdict, the changes that should lift its limit, one at a time.

Observation alone can confuse correlation with cause. Changing one thing and measuring again shows a
cause (Mill, "A System of Logic", 1843: the method of difference).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from runner.core.codes import Limit
from runner.experiment.changes import CHANGES, SERVICE_CHANGES, Change
from runner.experiment.model import Configuration


def changes_for(configuration: Configuration, limit: Limit, service: str | None = None) -> tuple[Change, ...]:
    """Return the changes that test a limit and apply to a configuration, the most conclusive first.

    `service` is the one that the verdict names, if it names any.
    """
    changes = possible_changes(limit, service)
    return tuple(change for change in changes if change.make(configuration) is not None)


def possible_changes(limit: Limit, service: str | None = None) -> tuple[Change, ...]:
    """Return all changes that test a limit, whether or not they apply to a configuration."""
    names = _CHANGES_FOR.get(limit, ())
    own = [f"{name}.{service}" for name in _SERVICE_CHANGES_FOR.get(limit, ())] if service else []
    return tuple(change for name in (*own, *names) if (change := change_named(name)))


def change_named(name: str) -> Change | None:
    """Return a change by its name, which ends in the name of a service if it changes one."""
    kind, _, service = name.partition(".")
    make = SERVICE_CHANGES.get(kind) if service else None
    return make(service) if make else CHANGES.get(name)


def changed(configuration: Configuration, name: str) -> Configuration:
    """Return the configuration with one change and a name of its own; ValueError if it does not apply."""
    change = change_named(name)
    result = change.make(configuration) if change else None
    if result is None:
        raise ValueError(f"the change '{name}' does not apply to configuration {configuration.name}")
    own = f"{configuration.name}-{name.replace('.', '-')}"
    return result.model_copy(update={"name": own[:60].rstrip("-")})


_SERVICE_CHANGES_FOR: Final[Mapping[Limit, tuple[str, ...]]] = {
    Limit.SERVICE: ("service-cpus",),
    Limit.MEMORY: ("service-memory",),
    Limit.IO: ("service-memory",),
}
"""The same for the service that a verdict names."""
_CHANGES_FOR: Final[Mapping[Limit, tuple[str, ...]]] = {
    Limit.CONNECTION: ("backlog", "proxy-connections", "keep-alive", "upstream-keepalive", "host-network"),
    Limit.FORWARDER: ("direct", "host-network"),
    Limit.PROXY_CPU: ("proxy-worker", "no-proxy", "upstream-keepalive", "keep-alive"),
    Limit.APP_CPU: ("workers", "replica", "keep-alive", "replicas"),
    Limit.APP_QUOTA: ("cpu-limit",),
    Limit.MEMORY: ("memory-limit",),
    Limit.APP_CONCURRENCY: ("workers", "pool", "replica", "replicas"),
    Limit.POOL: ("pool", "workers"),
    Limit.HOST_CPU: ("keep-alive", "direct", "upstream-keepalive", "no-proxy", "host-network"),
    Limit.GENERATOR: ("generators",),
    Limit.UNDETERMINED: ("keep-alive", "direct"),
}
"""Verdict to names of changes, the most conclusive first."""
