"""The rule for connections that cannot be opened: full accept queues and tables, no ports, a full proxy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Final

from runner.analyze.kernel_counters import counters, increase, is_local
from runner.analyze.rules.accept_queue import SYN_REPEATED, overflows, overflows_of_services
from runner.analyze.rules.connection_signs import Level, exhausted, fullest, increases, place, slow_to_accept
from runner.analyze.rules.parts import title
from runner.analyze.rules.types import CPU_LIMITS, OF_SERVICES, OWN_BOUND, Judgement, Match, Rule
from runner.core.codes import Cause, Confidence, Limit, Role
from runner.core.findings import Evidence, RuledOut
from runner.core.observed_results import CounterReading
from runner.core.stage_results import Stage

_SYN_RETRIES: Final = 6
"""How often Linux repeats a SYN before it gives up (net.ipv4.tcp_syn_retries)."""
NGINX_FULL: Final = 0.9
NO_PORT: Final = 0.001
FILES_FULL: Final = 0.9
"""Share of a process's limit of open files (node_exporter mixin: critical)."""
PORTS_FULL: Final = 0.95
_FEW_OPENED: Final = 0.5
"""Connections of the generator as a share of the ports in use below which another program uses them."""
_KEEP: Final[Mapping[str, str]] = {
    Role.PROXY: "keep the proxy's connections to the app (proxy.keepalive)",
    Role.FORWARDER: "keep connections to the app",
    Role.APP: "let the app keep and reuse its connections (a pool, keep-alive)",
}
"""Role that may run out of ports to what to do about it."""
_RELEVANT: Final = frozenset({"tcp", "conntrack", "fds"})
_FILES: Final = "node_exporter mixin: 90 % of a process's open files is critical"
_CONNTRACK: Final = "node_exporter mixin: any drop is a lost packet"
_HOST_NETWORK: Final = "net:host"
_PORTS: Final = "ip_local_port_range"
_NGINX: Final = "nginx: accepts and handled differ only at a resource limit"


def _judge(stage: Stage, cores: int | None) -> Judgement:
    """Match the most certain sign; return None if no counter could be read."""
    del cores
    match = next(filter(None, (sign(stage) for sign in _SIGNS)), None)
    if match or not any(counters(stage, "tcp.listen_overflows")):
        return match
    retransmitted = f"{increase(stage, 'tcp.syn_retransmits'):,.0f} SYNs were retransmitted"
    opened = f"no request lacked a local port and {retransmitted}"
    if not is_local(stage):
        return RuledOut(Limit.CONNECTION, f"{opened}, as seen from where the load was sent")
    hidden = sorted({counter.scope for counter in stage.unreadable if counter.name in _RELEVANT})
    return RuledOut(
        Limit.CONNECTION,
        f"no accept queue overflowed, {opened}"
        + (f"; some counters could not be read in {' and '.join(map(place, hidden))}" if hidden else ""),
    )


def _nginx(stage: Stage) -> Match | None:
    accepts, handled = increase(stage, "nginx.accepts"), increase(stage, "nginx.handled")
    if accepts <= handled:
        return _nginx_full(stage)
    accepted = increases(stage, "nginx.accepts", "connections accepted by Nginx")
    title = "connections handled by Nginx"
    return exhausted(
        f"Nginx closed {accepts - handled:,.0f} of the {accepts:,.0f} connections that it accepted, "
        "because it was at a limit of its own",
        (*accepted, *increases(stage, "nginx.handled", title, threshold=accepts, source=_NGINX)),
        "raise Nginx's worker_connections (proxy.connections) or its limit of open files",
        Confidence.PROVEN,
    )


def _nginx_full(stage: Stage) -> Match | None:
    """Match if Nginx cannot open the second connection that a proxied request needs; it then sends 500."""
    full = fullest(counters(stage, "nginx.active"), at_least=NGINX_FULL / 2)
    refused = stage.requests.failures.get("bad_status", 0)
    if full is None or not refused:
        return None
    return exhausted(
        f"Nginx had {full.used:,.0f} client connections and needs as many to the app, but may have only "
        f"{full.limit:,.0f} in total; {refused:,} requests were refused",
        (_nginx_evidence(full),),
        "raise Nginx's worker_connections (proxy.connections)",
    )


def _files(stage: Stage) -> Match | None:
    """Match if a process has no file left to accept with; connections wait, or the proxy refuses them."""
    full = fullest(counters(stage, "fds.open"), at_least=FILES_FULL)
    if full is None:
        return None
    return exhausted(
        f"{title(stage, full.scope)} had {full.used:,.0f} of at most {full.limit:,.0f} files open, "
        "so it could hardly open another file or accept another connection",
        (_files_evidence(full),),
        "raise its limit of open files (ulimit -n, LimitNOFILE), or close connections sooner",
    )


def _no_upstream_ports(stage: Stage) -> Match | None:
    """Match if the proxy or the app has no local port left for connections; it then sends an error."""
    refused = stage.requests.failures.get("bad_status", 0)
    ports = (ports for ports in counters(stage, "ports.in_use") if _connector(stage, ports))
    full = fullest(ports, at_least=PORTS_FULL)
    if full is None or refused < NO_PORT * stage.requests.scheduled:
        return None
    return exhausted(
        f"connections from {place(full.scope)} to one destination used {full.used:,.0f} of "
        f"{full.limit:,.0f} local ports, and {refused:,} requests were refused",
        (_ports_evidence(full, PORTS_FULL * full.limit),),
        f"{_KEEP[_role_in(stage, full.scope)]}, or widen net.ipv4.ip_local_port_range",
    )


def _connector(stage: Stage, ports: CounterReading) -> bool:
    """Return whether the ports of a network can be those of the proxy or the app.

    In the host's network, the generator's own count as well; it succeeds behind a proxy, or opened too few.
    """
    if ports.scope != _HOST_NETWORK or _has_proxy(stage):
        return _role_in(stage, ports.scope) in _KEEP
    opened = stage.connections.opened if stage.connections else None
    return opened is not None and opened < _FEW_OPENED * (ports.peak or 0.0)


def _has_proxy(stage: Stage) -> bool:
    return any(subject.role == Role.PROXY for subject in stage.cpu_cores_by_subject.values())


def _role_in(stage: Stage, scope: str) -> str:
    """Return the role of the part that a network is named after; of the host's, the proxy if there is one."""
    subject = stage.cpu_cores_by_subject.get(scope.removeprefix("net:"))
    of_host = Role.PROXY if _has_proxy(stage) else Role.APP
    return subject.role if subject else of_host


def _is_of_generator(stage: Stage, counter: CounterReading) -> bool:
    """Return whether a counter is of the network of a generator on a node; elsewhere it has the host's."""
    subject = stage.cpu_cores_by_subject.get(counter.scope.removeprefix("net:"))
    return subject is not None and subject.role == Role.GENERATOR


def _no_ports(stage: Stage) -> Match | None:
    failed, scheduled = stage.requests.failures.get("no_port", 0), stage.requests.scheduled
    if not scheduled or failed < NO_PORT * scheduled:
        return None
    summary = f"{failed:,} requests found no free local port"
    evidence: tuple[Evidence, ...] = (
        Evidence("requests without a port (EADDRNOTAVAIL)", failed, "requests"),
    )
    own = [ports for ports in counters(stage, "ports.in_use") if _is_of_generator(stage, ports)]
    if ports := fullest(own or counters(stage, "ports.in_use", _HOST_NETWORK)):
        summary += f"; there are {ports.limit:,.0f}"
        evidence += (_ports_evidence(ports, ports.limit),)
    return exhausted(
        summary,
        evidence,
        "use keep-alive connections, or widen net.ipv4.ip_local_port_range",
        Confidence.PROVEN,
    )


def _conntrack(stage: Stage) -> Match | None:
    names = ("conntrack.drop", "conntrack.early_drop", "conntrack.insert_failed")
    lost = sum(increase(stage, name) for name in names[:2])
    if not lost:
        return None
    table = fullest(counters(stage, "conntrack.count"))
    size = f" of {table.limit:,.0f} entries" if table else ""
    titles = {name: name.replace(".", " ") for name in names}
    losses = [increases(stage, name, titles[name], threshold=1, source=_CONNTRACK) for name in names]
    return exhausted(
        f"the firewall's connection table{size} was full, and {lost:,.0f} packets or entries were dropped",
        tuple(chain(*losses)),
        "raise net.netfilter.nf_conntrack_max, use keep-alive connections, or do not track this traffic",
        Confidence.PROVEN,
    )


def _syns(stage: Stage) -> Match | None:
    """Match if many SYNs were retransmitted: some were lost, for an unknown reason.

    The counter is that of a whole network: more than the generator's own connections can have repeated may be
    those of other programs, or of the app to its services.
    """
    repeated = increase(stage, "tcp.syn_retransmits")
    bound = SYN_REPEATED * stage.requests.sent
    if not bound or repeated < bound:
        return None
    return slow_to_accept(
        f"{repeated:,.0f} connection attempts were repeated, each with a delay of a second or more",
        increases(stage, "tcp.syn_retransmits", "retransmitted SYNs", threshold=bound, source=OWN_BOUND),
        "look for a full accept queue or a firewall on the path, or use keep-alive connections",
        Confidence.LIKELY if repeated <= _own_repeats(stage) else Confidence.HINT,
    )


def _nginx_evidence(full: Level) -> Evidence:
    name, source = "Nginx's client connections", "half of its limit"
    return Evidence(name, full.used, "connections", full.limit / 2, source)


def _files_evidence(full: Level) -> Evidence:
    return Evidence(f"open files of {full.scope}", full.used, "files", FILES_FULL * full.limit, _FILES)


def _ports_evidence(full: Level, bound: float) -> Evidence:
    return Evidence("peak of ports in use", full.used, "ports", bound, _PORTS)


def levels_of_resources(stage: Stage) -> Iterator[Evidence]:
    """Yield what the proxy, each process and each network had in use of what they may use, full or not."""
    for counter in stage.counters:
        level = fullest([counter])
        if level is None:
            continue
        if counter.name == "nginx.active":
            yield _nginx_evidence(level)
        elif counter.name == "fds.open":
            yield _files_evidence(level)
    if ports := fullest(counters(stage, "ports.in_use")):
        yield _ports_evidence(ports, PORTS_FULL * ports.limit)


def _own_repeats(stage: Stage) -> float:
    """Return how many SYNs the generator's connections can have repeated; infinite if that is unknown."""
    if stage.connections is None:
        return math.inf
    return _SYN_RETRIES * (stage.connections.opened + stage.requests.failed)


_SIGNS: Final[tuple[Callable[[Stage], Match | None], ...]] = (
    _nginx,
    _no_ports,
    _no_upstream_ports,
    _files,
    _conntrack,
    overflows,
    overflows_of_services,
    _syns,
)


CONNECTIONS: Final = Rule(
    Limit.CONNECTION,
    _judge,
    follows=CPU_LIMITS | OF_SERVICES,
    caused_by=frozenset({Cause.CONNECTION_SETUP, Cause.UPSTREAM_CONNECTION_SETUP, Cause.ACCEPT_QUEUE}),
    on_generators=True,
)
