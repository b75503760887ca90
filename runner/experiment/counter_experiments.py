"""Counter-experiments: for each verdict, the one change that should lift its limit.

Observation alone can confuse correlation with cause. Changing one thing and measuring again shows a
cause (Mill, "A System of Logic", 1843: the method of difference).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from runner.core.codes import Cause, Limit
from runner.experiment.app import App, Proxy
from runner.experiment.model import Configuration, Topology

_Changed: TypeAlias = Configuration | None
_UPSTREAM_CONNECTIONS: Final = 64
_BACKLOG_FACTOR: Final = 16
_MANY_PROXY_CONNECTIONS: Final = 16_384
_BACKLOG: Final = re.compile(r"--?backlog", re.IGNORECASE)
_WORKERS: Final = re.compile(r"--?(?:workers|threads|concurrency|slots)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Change:
    """One change to a configuration.

    Attributes:
        words: What is done, for the beginning of a sentence: ``adding a replica``.
        cause: The cause of the limit if this change lifts it.
        make: Returns the changed configuration; None if the change does not apply.
        clean: Nothing else changes. A change that also adds a hop can confirm but not refute.
    """

    name: str
    words: str
    cause: Cause
    make: Callable[[Configuration], _Changed]
    clean: bool = True


def counter_experiment(configuration: Configuration, limit: Limit) -> Change | None:
    """Return the first change for a verdict that applies to a configuration; None if none does."""
    changes = (CHANGES[name] for name in _CHANGES_FOR.get(limit, ()))
    return next((change for change in changes if change.make(configuration) is not None), None)


def possible_changes(limit: Limit) -> tuple[str, ...]:
    """Return in words all changes that test a limit, whether or not they apply to a configuration."""
    return tuple(CHANGES[name].words for name in _CHANGES_FOR.get(limit, ()))


def changed(configuration: Configuration, name: str) -> Configuration:
    """Return the configuration with one change and a name of its own; ValueError if it does not apply."""
    result = CHANGES[name].make(configuration) if name in CHANGES else None
    if result is None:
        raise ValueError(f"the change '{name}' does not apply to configuration {configuration.name}")
    return result.model_copy(update={"name": f"{configuration.name}-{name}"[:60].rstrip("-")})


def _load(configuration: Configuration, **changes: Any) -> Configuration:
    return configuration.model_copy(update={"load": configuration.load.model_copy(update=changes)})


def _with(configuration: Configuration, topology: Topology | None) -> _Changed:
    return configuration.model_copy(update={"topology": topology}) if topology else None


def _topology(configuration: Configuration, **changes: Any) -> _Changed:
    return _with(configuration, configuration.topology.model_copy(update=changes))


def _app(configuration: Configuration, app: App, **changes: Any) -> _Changed:
    return _topology(configuration, app=app.model_copy(update=changes))


def _proxy(configuration: Configuration, **changes: Any) -> _Changed:
    proxy = configuration.topology.proxy
    return _topology(configuration, proxy=proxy.model_copy(update=changes)) if proxy else None


def _keep_alive(configuration: Configuration) -> _Changed:
    return _load(configuration, connection="keep-alive") if configuration.load.connection == "new" else None


def _upstream_keepalive(configuration: Configuration) -> _Changed:
    proxy = configuration.topology.proxy
    applies = proxy and not proxy.keepalive
    return _proxy(configuration, keepalive=_UPSTREAM_CONNECTIONS) if applies else None


def _direct(configuration: Configuration) -> _Changed:
    return _with(configuration, configuration.topology.without_forwarder())


def _host_network(configuration: Configuration) -> _Changed:
    return _with(configuration, configuration.topology.on_host_network())


def _no_proxy(configuration: Configuration) -> _Changed:
    topology = configuration.topology
    return _topology(configuration, proxy=None) if topology.proxy and topology.replicas == 1 else None


def _more_proxy_workers(configuration: Configuration) -> _Changed:
    workers = proxy.workers if (proxy := configuration.topology.proxy) else "auto"
    return _proxy(configuration, workers=workers + 1) if isinstance(workers, int) else None


def _more_proxy_connections(configuration: Configuration) -> _Changed:
    proxy = configuration.topology.proxy
    applies = proxy and proxy.connections < _MANY_PROXY_CONNECTIONS
    return _proxy(configuration, connections=_MANY_PROXY_CONNECTIONS) if applies else None


def _replica(configuration: Configuration) -> _Changed:
    topology = configuration.topology
    applies = topology.proxy and topology.can_add_replicas
    return _with(configuration, topology.with_replicas(topology.replicas + 1)) if applies else None


def _replica_and_proxy(configuration: Configuration) -> _Changed:
    applies = configuration.topology.proxy is None and configuration.topology.can_add_replicas
    proxy = Proxy(keepalive=_UPSTREAM_CONNECTIONS)
    return _topology(configuration, replicas=2, proxy=proxy) if applies else None


def _more_cpus(configuration: Configuration) -> _Changed:
    app = configuration.topology.app
    return _app(configuration, app, cpus=app.cpus * 2) if app and app.cpus else None


def _more_memory(configuration: Configuration) -> _Changed:
    app = configuration.topology.app
    return _app(configuration, app, memory=app.memory * 2) if app and app.memory else None


def _multiplied(pattern: re.Pattern[str], factor: int) -> Callable[[Configuration], _Changed]:
    """Return a change that multiplies a number in an option or environment variable of the app."""

    def make(configuration: Configuration) -> _Changed:
        app = configuration.topology.app
        if app is None:
            return None
        if (command := _multiplied_option(app.command or (), pattern, factor)) is not None:
            return _app(configuration, app, command=command)
        env = _multiplied_variable(app.env, pattern, factor)
        return _app(configuration, app, env=env) if env else None

    return make


def _multiplied_option(command: Sequence[str], pattern: re.Pattern[str], factor: int) -> Sequence[str] | None:
    """Return the command with ``--backlog 16`` or ``--backlog=16`` multiplied, None without the option."""
    for at, argument in enumerate(command):
        option, equals, value = argument.partition("=")
        if not pattern.fullmatch(option):
            continue
        if equals and value.isdecimal():
            return (*command[:at], f"{option}={int(value) * factor}", *command[at + 1 :])
        if not equals and at + 1 < len(command) and command[at + 1].isdecimal():
            return (*command[: at + 1], str(int(command[at + 1]) * factor), *command[at + 2 :])
    return None


def _multiplied_variable(
    env: Mapping[str, str], pattern: re.Pattern[str], factor: int
) -> dict[str, str] | None:
    """Return the variables with ``APP_BACKLOG=16`` multiplied, None without the variable."""
    for name, value in env.items():
        if value.isdecimal() and any(pattern.fullmatch(f"--{word}") for word in name.split("_")):
            return {**env, name: str(int(value) * factor)}
    return None


def _more_generators(configuration: Configuration) -> _Changed:
    workers = configuration.load.workers
    if configuration.load.engine != "builtin" or configuration.load.cpus:
        return None
    return _load(configuration, workers=2 if workers == "auto" else workers * 2)


_ALL: Final = (
    Change("keep-alive", "using keep-alive connections", Cause.CONNECTION_SETUP, _keep_alive),
    Change(
        "upstream-keepalive",
        "using keep-alive connections from the proxy to the app",
        Cause.UPSTREAM_CONNECTION_SETUP,
        _upstream_keepalive,
    ),
    Change("direct", "bypassing docker-proxy", Cause.DOCKER_PROXY, _direct),
    Change("host-network", "using the host network", Cause.BRIDGE_NETWORK, _host_network),
    Change("no-proxy", "removing the proxy", Cause.PROXY, _no_proxy),
    Change(
        "proxy-connections",
        "raising Nginx's connection limit",
        Cause.PROXY_CONNECTIONS,
        _more_proxy_connections,
    ),
    Change("proxy-worker", "adding a proxy worker", Cause.PROXY_WORKERS, _more_proxy_workers),
    Change("replica", "adding a replica", Cause.APP, _replica),
    Change("replicas", "adding a second replica behind Nginx", Cause.APP, _replica_and_proxy, clean=False),
    Change("cpu-limit", "doubling the CPU limit", Cause.CPU_LIMIT, _more_cpus),
    Change("memory-limit", "doubling the memory limit", Cause.MEMORY_LIMIT, _more_memory),
    Change(
        "backlog", "lengthening the accept queue", Cause.ACCEPT_QUEUE, _multiplied(_BACKLOG, _BACKLOG_FACTOR)
    ),
    Change("workers", "doubling the app's workers", Cause.APP_WORKERS, _multiplied(_WORKERS, 2)),
    Change("generators", "adding generator workers", Cause.GENERATOR, _more_generators),
)
CHANGES: Final[Mapping[str, Change]] = {change.name: change for change in _ALL}

_CHANGES_FOR: Final[Mapping[Limit, tuple[str, ...]]] = {
    Limit.CONNECTION: ("backlog", "proxy-connections", "keep-alive", "upstream-keepalive", "host-network"),
    Limit.FORWARDER: ("direct", "host-network"),
    Limit.PROXY_CPU: ("proxy-worker", "no-proxy", "upstream-keepalive", "keep-alive"),
    Limit.APP_CPU: ("workers", "replica", "keep-alive", "replicas"),
    Limit.APP_QUOTA: ("cpu-limit",),
    Limit.MEMORY: ("memory-limit",),
    Limit.APP_CONCURRENCY: ("workers", "replica", "replicas"),
    Limit.HOST_CPU: ("keep-alive", "direct", "upstream-keepalive", "no-proxy", "host-network"),
    Limit.GENERATOR: ("generators",),
    Limit.UNDETERMINED: ("keep-alive", "direct"),
}
"""Verdict to names of changes, the most conclusive first."""
