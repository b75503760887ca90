"""The changes that counter-experiments make to a configuration, one at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, TypeAlias

from runner.core.codes import Cause, Limit
from runner.experiment.app import App, Proxy
from runner.experiment.model import Configuration, Topology
from runner.experiment.multiplied import (
    BACKLOG,
    POOL,
    PROCESSES,
    PROCESSES_OR_W,
    SERVERS_WITH_W,
    WORKERS,
    multiplied_option,
    multiplied_variable,
)

_Result: TypeAlias = Configuration | None
_UPSTREAM_CONNECTIONS: Final = 64
_MANY_PROXY_CONNECTIONS: Final = 16_384


def _doubles(_: Configuration) -> float:
    return 1.0


def _one_of_replicas(configuration: Configuration) -> float:
    return 1 / configuration.topology.replicas


def _one_of_proxy_workers(configuration: Configuration) -> float:
    proxy = configuration.topology.proxy
    return 1 / proxy.workers if proxy and isinstance(proxy.workers, int) else 1.0


@dataclass(frozen=True, slots=True)
class Change:
    """One change to a configuration.

    Attributes:
        words: What is done, for the beginning of a sentence: ``adding a replica``.
        cause: The cause of the limit if this change lifts it.
        make: Returns the changed configuration; None if the change does not apply.
        adds: Returns the share by which it enlarges what it changes: throughput grows by as much if that
            is the limit, unless another limit is reached first.
        saves: Whether it makes each request cheaper instead, by an unknown share.
        must_lift: Limits that it lifts for certain: without a gain, the verdict was wrong.
    """

    name: str
    words: str
    cause: Cause
    make: Callable[[Configuration], _Result]
    adds: Callable[[Configuration], float] = _doubles
    saves: bool = False
    must_lift: frozenset[Limit] = frozenset()


def _load(configuration: Configuration, **changes: Any) -> Configuration:
    return configuration.model_copy(update={"load": configuration.load.model_copy(update=changes)})


def _with(configuration: Configuration, topology: Topology | None) -> _Result:
    return configuration.model_copy(update={"topology": topology}) if topology else None


def _topology(configuration: Configuration, **changes: Any) -> _Result:
    return _with(configuration, configuration.topology.model_copy(update=changes))


def _app(configuration: Configuration, app: App, **changes: Any) -> _Result:
    return _topology(configuration, app=app.model_copy(update=changes))


def _proxy(configuration: Configuration, **changes: Any) -> _Result:
    proxy = configuration.topology.proxy
    return _topology(configuration, proxy=proxy.model_copy(update=changes)) if proxy else None


def _keep_alive(configuration: Configuration) -> _Result:
    kept = configuration.load.connection == "keep-alive"
    return None if kept else _load(configuration, connection="keep-alive")


def _upstream_keepalive(configuration: Configuration) -> _Result:
    proxy = configuration.topology.proxy
    applies = proxy and not proxy.keepalive
    return _proxy(configuration, keepalive=_UPSTREAM_CONNECTIONS) if applies else None


def _direct(configuration: Configuration) -> _Result:
    return _with(configuration, configuration.topology.without_forwarder())


def _host_network(configuration: Configuration) -> _Result:
    return _with(configuration, configuration.topology.on_host_network())


def _no_proxy(configuration: Configuration) -> _Result:
    topology = configuration.topology
    return _topology(configuration, proxy=None) if topology.proxy and topology.replicas == 1 else None


def _more_proxy_workers(configuration: Configuration) -> _Result:
    workers = proxy.workers if (proxy := configuration.topology.proxy) else "auto"
    return _proxy(configuration, workers=workers + 1) if isinstance(workers, int) else None


def _more_proxy_connections(configuration: Configuration) -> _Result:
    proxy = configuration.topology.proxy
    applies = proxy and proxy.connections < _MANY_PROXY_CONNECTIONS
    return _proxy(configuration, connections=_MANY_PROXY_CONNECTIONS) if applies else None


def _replica(configuration: Configuration) -> _Result:
    return _with(configuration, configuration.topology.with_another_replica())


def _replica_and_proxy(configuration: Configuration) -> _Result:
    applies = configuration.topology.proxy is None and configuration.topology.can_add_replicas
    proxy = Proxy(keepalive=_UPSTREAM_CONNECTIONS)
    return _topology(configuration, replicas=2, proxy=proxy) if applies else None


def _more_cpus(configuration: Configuration) -> _Result:
    app = configuration.topology.app
    return _app(configuration, app, cpus=app.cpus * 2) if app and app.cpus else None


def _more_memory(configuration: Configuration) -> _Result:
    app = configuration.topology.app
    return _app(configuration, app, memory=app.memory * 2) if app and app.memory else None


def _multiplied(pattern: re.Pattern[str], factor: int) -> Callable[[Configuration], _Result]:
    """Return a change that multiplies a number in an option or environment variable of the app."""

    def make(configuration: Configuration) -> _Result:
        app = configuration.topology.app
        if app is None:
            return None
        if (command := multiplied_option(app.command or (), pattern, factor)) is not None:
            return _app(configuration, app, command=command)
        env = multiplied_variable(app.env, pattern, factor)
        return _app(configuration, app, env=env) if env else None

    return make


def _more_workers(configuration: Configuration) -> _Result:
    """Double the processes of the app, or its threads if no option says how many processes there are."""
    app = configuration.topology.app
    command = (app.command if app else None) or ()
    is_known = any(PurePosixPath(word).name in SERVERS_WITH_W for word in command)
    processes = _multiplied(PROCESSES_OR_W if is_known else PROCESSES, 2)(configuration)
    return processes or _multiplied(WORKERS, 2)(configuration)


def _more_generators(configuration: Configuration) -> _Result:
    workers = configuration.load.workers
    if configuration.load.engine != "builtin" or configuration.load.cpus:
        return None
    return _load(configuration, workers=2 if workers == "auto" else workers * 2)


_ALL: Final = (
    Change("keep-alive", "using keep-alive connections", Cause.CONNECTION_SETUP, _keep_alive, saves=True),
    Change(
        "upstream-keepalive",
        "using keep-alive connections from the proxy to the app",
        Cause.UPSTREAM_CONNECTION_SETUP,
        _upstream_keepalive,
        saves=True,
    ),
    Change(
        "direct",
        "bypassing docker-proxy",
        Cause.DOCKER_PROXY,
        _direct,
        saves=True,
        must_lift=frozenset({Limit.FORWARDER}),
    ),
    Change("host-network", "using the host network", Cause.BRIDGE_NETWORK, _host_network, saves=True),
    Change(
        "no-proxy",
        "removing the proxy",
        Cause.PROXY,
        _no_proxy,
        saves=True,
        must_lift=frozenset({Limit.PROXY_CPU}),
    ),
    Change(
        "proxy-connections",
        "raising Nginx's connection limit",
        Cause.PROXY_CONNECTIONS,
        _more_proxy_connections,
    ),
    Change(
        "proxy-worker",
        "adding a proxy worker",
        Cause.PROXY_WORKERS,
        _more_proxy_workers,
        adds=_one_of_proxy_workers,
    ),
    Change("replica", "adding a replica", Cause.APP, _replica, adds=_one_of_replicas),
    Change("replicas", "adding a second replica behind Nginx", Cause.APP, _replica_and_proxy),
    Change(
        "cpu-limit",
        "doubling the CPU limit",
        Cause.CPU_LIMIT,
        _more_cpus,
        must_lift=frozenset({Limit.APP_QUOTA}),
    ),
    Change("memory-limit", "doubling the memory limit", Cause.MEMORY_LIMIT, _more_memory),
    Change("backlog", "lengthening the accept queue", Cause.ACCEPT_QUEUE, _multiplied(BACKLOG, 16)),
    Change("workers", "doubling the app's workers", Cause.APP_WORKERS, _more_workers),
    Change(
        "pool",
        "doubling the app's connection pool",
        Cause.POOL,
        _multiplied(POOL, 2),
        must_lift=frozenset({Limit.POOL}),
    ),
    Change("generators", "adding generator workers", Cause.GENERATOR, _more_generators),
)
CHANGES: Final[Mapping[str, Change]] = {change.name: change for change in _ALL}


def _service_cpus(service: str) -> Change:
    def make(configuration: Configuration) -> _Result:
        return _with(configuration, configuration.topology.with_larger_service(service, "cpus"))

    words = f"doubling the CPU limit of {service}"
    must_lift = frozenset({Limit.SERVICE})
    return Change(f"service-cpus.{service}", words, Cause.SERVICE_CPU, make, must_lift=must_lift)


def _service_memory(service: str) -> Change:
    def make(configuration: Configuration) -> _Result:
        return _with(configuration, configuration.topology.with_larger_service(service, "memory"))

    words = f"doubling the memory limit of {service}"
    return Change(f"service-memory.{service}", words, Cause.SERVICE_MEMORY, make)


SERVICE_CHANGES: Final[Mapping[str, Callable[[str], Change]]] = {
    "service-cpus": _service_cpus,
    "service-memory": _service_memory,
}
"""The first part of a change's name to what makes the change for a service, whose name is the other part."""
