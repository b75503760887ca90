"""Counter-experiments: for each verdict the one change that should lift the limit it names.

A verdict that only observes may mistake a companion for the cause. Changing one thing and measuring
again is how a cause is shown (Mill, "A System of Logic", 1843: the method of difference).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from runner.experiment.model import App, Configuration, DockerTopology, ExternalTopology, Proxy

_Built: TypeAlias = Configuration | None
_UPSTREAM_CONNECTIONS: Final = 64
_LONGER: Final = 16
_PLENTY: Final = 16_384
_BACKLOG: Final = re.compile(r"--?backlog", re.IGNORECASE)
_WORKERS: Final = re.compile(r"--?(?:workers|threads|concurrency|slots)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is done differently.

    Attributes:
        name: Its word in results and names, such as ``keep-alive``.
        words: What is done, to begin a sentence with: ``keeping connections``.
        cause: What limits the stage if this lifts it.
        make: The changed configuration; None where it does not apply.
        clean: Nothing else changes with it. A change that also adds a hop can confirm, not refute.
    """

    name: str
    words: str
    cause: str
    make: Callable[[Configuration], _Built]
    clean: bool = True


def counter_experiment(configuration: Configuration, code: str) -> Change | None:
    """The first change for a verdict that can be made to a configuration; None when none can."""
    return next((CHANGES[n] for n in _FOR.get(code, ()) if CHANGES[n].make(configuration) is not None), None)


def changed(configuration: Configuration, name: str) -> Configuration:
    """The configuration with one change made, under a name of its own.

    Raises:
        ValueError: The change cannot be made to it.
    """
    made = CHANGES[name].make(configuration) if name in CHANGES else None
    if made is None:
        raise ValueError(f"the change '{name}' cannot be made to configuration {configuration.name}")
    return made.model_copy(update={"name": f"{configuration.name}-{name}"[:60].rstrip("-")})


def _load(configuration: Configuration, **changes: Any) -> Configuration:
    return configuration.model_copy(update={"load": configuration.load.model_copy(update=changes)})


def _topology(configuration: Configuration, **changes: Any) -> Configuration:
    return configuration.model_copy(update={"topology": configuration.topology.model_copy(update=changes)})


def _keep_alive(given: Configuration) -> _Built:
    return _load(given, connection="keep-alive") if given.load.connection == "new" else None


def _upstream_keepalive(given: Configuration) -> _Built:
    proxy = _proxy(given)
    if proxy is None or proxy.keepalive:
        return None
    return _topology(given, proxy=proxy.model_copy(update={"keepalive": _UPSTREAM_CONNECTIONS}))


def _proxy(given: Configuration) -> Proxy | None:
    return None if isinstance(given.topology, ExternalTopology) else given.topology.proxy


def _direct(given: Configuration) -> _Built:
    topology = given.topology
    if not isinstance(topology, DockerTopology) or topology.network == "host" or topology.publish != "port":
        return None
    return _topology(given, publish="container")


def _host_network(given: Configuration) -> _Built:
    if not isinstance(given.topology, DockerTopology) or given.topology.network == "host":
        return None
    return _topology(given, network="host", publish="port")


def _no_proxy(given: Configuration) -> _Built:
    if _proxy(given) is None or isinstance(given.topology, ExternalTopology) or given.topology.replicas > 1:
        return None
    return _topology(given, proxy=None)


def _more_proxy_workers(given: Configuration) -> _Built:
    proxy = _proxy(given)
    if proxy is None or not isinstance(proxy.workers, int):
        return None
    return _topology(given, proxy=proxy.model_copy(update={"workers": proxy.workers + 1}))


def _more_proxy_connections(given: Configuration) -> _Built:
    proxy = _proxy(given)
    if proxy is None or proxy.connections >= _PLENTY:
        return None
    return _topology(given, proxy=proxy.model_copy(update={"connections": _PLENTY}))


def _replica(given: Configuration) -> _Built:
    topology = given.topology
    if isinstance(topology, ExternalTopology) or topology.proxy is None:
        return None
    if topology.app.port and not isinstance(topology, DockerTopology):
        return None  # processes cannot share a fixed port
    return _topology(given, replicas=topology.replicas + 1)


def _replica_and_proxy(given: Configuration) -> _Built:
    topology = given.topology
    if isinstance(topology, ExternalTopology) or topology.proxy is not None:
        return None
    if not isinstance(topology, DockerTopology) and topology.app.port:
        return None
    return _topology(given, replicas=2, proxy=Proxy(keepalive=_UPSTREAM_CONNECTIONS))


def _app(given: Configuration, **changes: Any) -> _Built:
    assert not isinstance(given.topology, ExternalTopology)
    return _topology(given, app=given.topology.app.model_copy(update=changes))


def _more_cpus(given: Configuration) -> _Built:
    app = _app_of(given)
    return _app(given, cpus=app.cpus * 2) if app and app.cpus else None


def _more_memory(given: Configuration) -> _Built:
    app = _app_of(given)
    return _app(given, memory=app.memory * 2) if app and app.memory else None


def _app_of(given: Configuration) -> App | None:
    return None if isinstance(given.topology, ExternalTopology) else given.topology.app


def _larger(pattern: re.Pattern[str], factor: int) -> Callable[[Configuration], _Built]:
    """Makes a number larger that the app is given by an option or an environment variable."""

    def make(given: Configuration) -> _Built:
        app = _app_of(given)
        if app is None:
            return None
        if (command := _larger_option(app.command or (), pattern, factor)) is not None:
            return _app(given, command=command)
        if (env := _larger_variable(app.env, pattern, factor)) is not None:
            return _app(given, env=env)
        return None

    return make


def _larger_option(words: tuple[str, ...], pattern: re.Pattern[str], factor: int) -> tuple[str, ...] | None:
    """``--backlog 16`` or ``--backlog=16`` times `factor`."""
    for place, word in enumerate(words):
        option, equals, value = word.partition("=")
        if not pattern.fullmatch(option):
            continue
        if equals and value.isdecimal():
            return (*words[:place], f"{option}={int(value) * factor}", *words[place + 1 :])
        if not equals and place + 1 < len(words) and words[place + 1].isdecimal():
            return (*words[: place + 1], str(int(words[place + 1]) * factor), *words[place + 2 :])
    return None


def _larger_variable(env: Mapping[str, str], pattern: re.Pattern[str], factor: int) -> dict[str, str] | None:
    """``APP_BACKLOG=16`` times `factor`."""
    for name, value in env.items():
        if value.isdecimal() and any(pattern.fullmatch(f"--{word}") for word in name.split("_")):
            return {**env, name: str(int(value) * factor)}
    return None


def _more_generators(given: Configuration) -> _Built:
    workers = given.load.workers
    if given.load.engine != "builtin" or given.load.cpus:
        return None
    return _load(given, workers=2 if workers == "auto" else workers * 2)


_ALL: Final = (
    Change("keep-alive", "keeping connections", "connection set-up", _keep_alive),
    Change(
        "upstream-keepalive",
        "keeping the proxy's connections to the app",
        "connection set-up between proxy and app",
        _upstream_keepalive,
    ),
    Change("direct", "going straight to the container", "docker-proxy", _direct),
    Change("host-network", "using the host's network", "the bridge network", _host_network),
    Change("no-proxy", "leaving the proxy out", "the proxy", _no_proxy),
    Change(
        "proxy-connections", "more room for connections in nginx", "nginx's room", _more_proxy_connections
    ),
    Change("proxy-worker", "one proxy worker more", "the number of the proxy's workers", _more_proxy_workers),
    Change("replica", "one replica more", "the app", _replica),
    Change("replicas", "a second replica behind nginx", "the app", _replica_and_proxy, clean=False),
    Change("cpu-limit", "a CPU limit twice as high", "the CPU limit", _more_cpus),
    Change("memory-limit", "a memory limit twice as high", "the memory limit", _more_memory),
    Change("backlog", "a longer accept queue", "the accept queue", _larger(_BACKLOG, _LONGER)),
    Change(
        "workers", "twice as many workers of the app", "the number of the app's workers", _larger(_WORKERS, 2)
    ),
    Change("generators", "more generator workers", "the generator", _more_generators),
)
CHANGES: Final[Mapping[str, Change]] = {change.name: change for change in _ALL}

_FOR: Final[Mapping[str, tuple[str, ...]]] = {
    "connection-limited": (
        "backlog",
        "proxy-connections",
        "keep-alive",
        "upstream-keepalive",
        "host-network",
    ),
    "forwarder-limited": ("direct", "host-network"),
    "proxy-cpu-limited": ("proxy-worker", "no-proxy", "upstream-keepalive", "keep-alive"),
    "app-cpu-limited": ("workers", "replica", "keep-alive", "replicas"),
    "app-quota-throttled": ("cpu-limit",),
    "memory-limited": ("memory-limit",),
    "app-concurrency-limited": ("workers", "replica", "replicas"),
    "host-cpu-limited": ("keep-alive", "direct", "upstream-keepalive", "no-proxy", "host-network"),
    "generator-limited": ("generators",),
    "undetermined": ("keep-alive", "direct"),
}
"""Verdict to changes, the most telling first."""
