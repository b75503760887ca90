"""Connections that could not be made: full accept queues, no ports, a full table, a proxy at its limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from runner.analyze.kernel_counters import Found, counters, families, is_here, rise, was_read
from runner.analyze.rules.types import Evidence, Finding, Judgement, RuledOut, Stage

SYN_REPEATED: Final = 0.01
"""Share of connections whose SYN had to be sent again; Loadproof's own bound."""
NGINX_FULL: Final = 0.9
NO_PORT: Final = 0.001
FILES_FULL: Final = 0.9
"""Of a process's open files (node_exporter mixin: critical)."""
PORTS_FULL: Final = 0.95
_TELLING: Final = frozenset({"tcp", "conntrack", "fds"})
_FILES: Final = "node_exporter mixin: 90 % of a process's files is critical"
_SNMP: Final = "Linux, snmp_counter.rst: any overflow is a connection that was turned away"
_CONNTRACK: Final = "node_exporter mixin: any drop is a lost packet"
_NGINX: Final = "nginx: accepts and handled differ only at a resource limit"


def connections(stage: Stage, cores: int | None) -> Judgement:
    """The surest sign first; None when none of the counters could be read."""
    del cores
    for sign in _SIGNS:
        if found := sign(stage):
            return found
    if not was_read(stage, "tcp.listen_overflows"):
        return None
    again = f"{rise(stage, 'tcp.syn_retransmits'):,.0f} SYNs were sent again"
    if not is_here(stage):
        return RuledOut(
            "connection-limited", f"every request found a port and {again}, as far as it shows here"
        )
    hidden = sorted({each["scope"] for each in stage.get("unreadable", ()) if each["name"] in _TELLING})
    return RuledOut(
        "connection-limited",
        f"no accept queue overflowed, every request found a port and {again}"
        + (f"; not all of it could be read in {' and '.join(map(_place, hidden))}" if hidden else ""),
    )


def _nginx(stage: Stage) -> Finding | None:
    accepts, handled = rise(stage, "nginx.accepts"), rise(stage, "nginx.handled")
    if accepts <= handled:
        return _nginx_full(stage)
    turned = accepts - handled
    return Finding(
        "connection-limited",
        "proven",
        f"nginx had no room for {turned:,.0f} of the {accepts:,.0f} connections it accepted and closed them",
        (
            *_risen(stage, "nginx.accepts", "connections nginx accepted"),
            *_risen(stage, "nginx.handled", "connections nginx handled", threshold=accepts, source=_NGINX),
        ),
        "raise nginx's worker_connections or its limit of open files",
    )


def _nginx_full(stage: Stage) -> Finding | None:
    """A proxied request takes two connections; without room for the second, nginx answers 500."""
    full = [
        each
        for each in counters(stage, "nginx.active")
        if each["limit"] and 2 * (each["peak"] or 0) >= NGINX_FULL * each["limit"]
    ]
    refused = stage["requests"]["failures"].get("bad_status", 0)
    if not full or not refused:
        return None
    most = full[0]["limit"]
    return Finding(
        "connection-limited",
        "likely",
        f"nginx had {full[0]['peak']:,.0f} connections to clients, needs as many to the app, has room for "
        f"{most:,.0f} in all; {refused:,} requests were refused",
        (Evidence("connections of nginx", full[0]["peak"], "connections", most / 2, "half of its room"),),
        "raise nginx's worker_connections (proxy.connections)",
    )


def _files(stage: Stage) -> Finding | None:
    """A process without a free file cannot accept; its connections wait, or the proxy refuses them."""
    full = [each for each in counters(stage, "fds.open") if each["limit"] and _share(each) >= FILES_FULL]
    if not full:
        return None
    fullest = max(full, key=_share)
    name, used, most = fullest["scope"], fullest["peak"], fullest["limit"]
    return Finding(
        "connection-limited",
        "likely",
        f"{name} had {used:,.0f} of its {most:,.0f} files open, so there was none for another connection",
        (Evidence(f"open files of {name}", used, "files", FILES_FULL * most, _FILES),),
        "raise its limit of open files (ulimit -n, LimitNOFILE), or close connections sooner",
    )


def _share(counter: Found) -> float:
    """The peak of a level, as a part of its bound."""
    return float(counter["peak"] or 0) / float(counter["limit"])


def _no_upstream_ports(stage: Stage) -> Finding | None:
    """A proxy that opens a connection for each request needs ports of its own; without one it answers 502."""
    refused = stage["requests"]["failures"].get("bad_status", 0)
    full = [each for each in counters(stage, "ports.in_use") if each["limit"] and _share(each) >= PORTS_FULL]
    if not full or refused < NO_PORT * stage["requests"]["scheduled"] or not _has_proxy(stage):
        return None
    fullest = max(full, key=_share)
    used, most = fullest["peak"], fullest["limit"]
    return Finding(
        "connection-limited",
        "likely",
        f"connections from {_place(fullest['scope'])} to one destination took {used:,.0f} of {most:,.0f} "
        f"local ports, and {refused:,} requests were refused",
        (Evidence("ports in use at most", used, "ports", PORTS_FULL * most, "ip_local_port_range"),),
        "keep the proxy's upstream connections (proxy.keepalive), or widen net.ipv4.ip_local_port_range",
    )


def _has_proxy(stage: Stage) -> bool:
    """Whether a proxy was watched."""
    return any(each["role"] == "proxy" for each in stage.get("cpu_cores_by_subject", {}).values())


def _place(scope: str) -> str:
    """A scope in words."""
    return "the host's network" if scope == "net:host" else scope.replace("net:", "the network of ")


def _overflows(stage: Stage) -> Finding | None:
    """By the listeners' own drops; a namespace's count may be another program's, and proves nothing."""
    own = list(families(stage, "tcp.listener_drops."))
    lost = sum(each["delta"] or 0 for each in own) if own else rise(stage, "tcp.listen_overflows")
    if not lost:
        return None
    queue = _fullest_queue(stage)
    where = f" (port {queue[0]}, room for {queue[1]:,.0f})" if queue else ""
    names = [each["name"] for each in own] or ["tcp.listen_overflows"]
    return Finding(
        "connection-limited",
        "proven" if own else "likely",
        f"the accept queue{where} was full {lost:,.0f} times, so connections were turned away",
        (
            *(
                item
                for name in names
                for item in _risen(stage, name, "accept queue overflows", threshold=1, source=_SNMP)
            ),
            *_risen(stage, "tcp.syn_retransmits", "SYNs sent again"),
        ),
        "lengthen the backlog (listen() and net.core.somaxconn), accept faster, or keep connections",
    )


def _fullest_queue(stage: Stage) -> tuple[str, float] | None:
    queues = [each for each in families(stage, "tcp.accept_queue.") if each["limit"]]
    if not queues:
        return None
    fullest = max(queues, key=lambda each: float(each["peak"] or 0) / float(each["limit"]))
    return fullest["name"].rpartition(".")[2], float(fullest["limit"])


def _no_ports(stage: Stage) -> Finding | None:
    failed, scheduled = stage["requests"]["failures"].get("no_port", 0), stage["requests"]["scheduled"]
    if not scheduled or failed < NO_PORT * scheduled:
        return None
    ports = next((each for each in counters(stage, "ports.in_use", "net:host") if each["limit"]), None)
    evidence = [Evidence("requests without a port (EADDRNOTAVAIL)", failed, "requests")]
    if ports:
        most = ports["limit"]
        evidence.append(Evidence("ports in use at most", ports["peak"], "ports", most, "ip_local_port_range"))
    return Finding(
        "connection-limited",
        "proven",
        f"{failed:,} requests found no free local port"
        + (f"; there are {ports['limit']:,.0f}" if ports else ""),
        tuple(evidence),
        "keep connections, or widen net.ipv4.ip_local_port_range",
    )


def _conntrack(stage: Stage) -> Finding | None:
    names = ("conntrack.drop", "conntrack.early_drop", "conntrack.insert_failed")
    lost = sum(rise(stage, name) for name in names[:2])
    if not lost:
        return None
    size = next((each for each in counters(stage, "conntrack.count") if each["limit"]), None)
    room = f" of {size['limit']:,.0f} entries" if size else ""
    return Finding(
        "connection-limited",
        "proven",
        f"the firewall's connection table{room} was full and {lost:,.0f} packets or entries were dropped",
        tuple(
            item
            for name in names
            for item in _risen(stage, name, name.replace(".", " "), threshold=1, source=_CONNTRACK)
            if item.value
        ),
        "raise net.netfilter.nf_conntrack_max, keep connections, or exempt this traffic from tracking",
    )


def _syns(stage: Stage) -> Finding | None:
    """SYNs that were sent again say that some were lost, not why."""
    again = rise(stage, "tcp.syn_retransmits")
    opened = stage["requests"]["sent"]
    if not opened or again < SYN_REPEATED * opened:
        return None
    return Finding(
        "connection-limited",
        "likely",
        f"{again:,.0f} connection attempts had to be repeated, each of them a second late or more",
        _risen(
            stage,
            "tcp.syn_retransmits",
            "SYNs sent again",
            threshold=SYN_REPEATED * opened,
            source="our bound",
        ),
        "look for a full accept queue or a firewall on the way, or keep connections",
    )


_SIGNS: Final[tuple[Callable[[Stage], Finding | None], ...]] = (
    _nginx,
    _no_ports,
    _no_upstream_ports,
    _files,
    _conntrack,
    _overflows,
    _syns,
)


def _risen(
    stage: Stage, name: str, words: str, *, threshold: float | None = None, source: str = ""
) -> tuple[Evidence, ...]:
    """One piece of evidence for each scope in which a counter rose."""

    def each() -> Iterator[Evidence]:
        for counter in counters(stage, name):
            if counter["delta"]:
                yield Evidence(
                    f"{words} ({counter['scope'].removeprefix('net:')})",
                    counter["delta"],
                    counter["unit"],
                    threshold,
                    source,
                    before=counter["before"],
                    after=counter["after"],
                )

    return tuple(each())
