"""Facts of a stage on five machines: two that make load, a proxy, and two with two replicas each."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from runner.core.codes import Role, RoleName
from runner.core.facts import Event, TrialFacts
from runner.core.load_facts import DropCauses
from runner.core.node_facts import ClockFacts, NodeLoad
from runner.core.observed_facts import Counter, ObservedFacts, Program, Sample, Subject
from runner.core.system_facts import NodeFacts, ProxyFacts, SystemDescription
from tests.analyze.facts import load, second, trial

SPEC = b"""
version: 1
name: shop
title: The Shop on Five Machines
objective: Find what limits the shop when its load and its replicas are on several machines.
topology:
  kind: process
  app: {command: [shop, --port, "{port}"]}
load: {request: {path: /items}, connection: new, max_in_flight: 500}
stages:
  - {rps: 1000, duration: 4s}
  - {rps: 4000, duration: 4s}
"""
"""What the facts are about but for the kind of topology, which the analysis does not look at."""

CORES = {"load-1": 2, "load-2": 2, "edge": 2, "shop-1": 2, "shop-2": 2}
RUNS = {
    "load-1": ("generator",), "load-2": ("generator",), "edge": ("nginx",),
    "shop-1": ("app", "app-2"), "shop-2": ("app-3", "app-4"),
}  # fmt: skip
SYSTEM = SystemDescription(
    kind="swarm",
    replicas=4,
    path="overlay",
    proxy=ProxyFacts(kind="nginx", version="1.22.1", keepalive=0, workers=2, backlog=511),
    nodes={
        name: NodeFacts(name, cores, 3900.0, "x86_64", "20.10.24", "6.1.0-18-amd64", RUNS[name])
        for name, cores in CORES.items()
    },
    placement={
        subject: node for node, subjects in RUNS.items() for subject in subjects if subject != "generator"
    },
)
_OWN = ("runner", "system")
_ROLES: dict[str, RoleName] = {
    "nginx": Role.PROXY, "generator": Role.GENERATOR, "agent": Role.RUNNER, "system": Role.SYSTEM, "db": "db",
    "dockerd": Role.DAEMON,
}  # fmt: skip


def role_of(name: str) -> RoleName:
    """Return the role of a subject by its name."""
    return _ROLES.get(name.partition("-")[0], Role.APP)


def subject(name: str) -> Subject:
    """Return a subject by its name."""
    role = role_of(name)
    kind = "system" if role is Role.SYSTEM else "process" if role is Role.GENERATOR else "cgroup"
    return Subject(name, role, kind, None if role is Role.SYSTEM else 10, 1)


def node(cores: dict[str, float], *, seconds: float = 4, lag_s: float = 0.0, **changes: Any) -> ObservedFacts:
    """Return what an agent observed of constant CPU usage, sampled five times a second.

    Args:
        cores: Subject to the cores that it used; ``system`` is the whole node.
        seconds: Length of the window.
        lag_s: How much later than the runner it took its samples.
    """
    cores = {"agent": 0.01, **cores}
    ticks = [n / 5 + lag_s for n in range(-1, round(seconds * 5) + 1)]
    samples = tuple(
        Sample(
            t,
            {name: 50 + used * (t + 1) for name, used in cores.items()},
            {name: 60 * 2**20 for name in cores if name != "system"},
        )
        for t in ticks
    )
    return replace(ObservedFacts(tuple(map(subject, cores)), samples), **changes)


def observed(shop_1: float = 0.3, shop_2: float = 0.3, generator: float = 0.25) -> ObservedFacts:
    """Return what was observed on all nodes.

    Args:
        shop_1: Cores of each replica on ``shop-1``.
        shop_2: Of each replica on ``shop-2``.
        generator: Of the generator on each node that makes load.
    """
    noisy = Program("cron", (812,), 0.05)
    nodes = {
        "load-1": node({"generator-1": generator, "system": generator + 0.12}),
        "load-2": node({"generator-2": generator, "system": generator + 0.14}, lag_s=0.02),
        "edge": node({"nginx": 0.42, "system": 0.61}),
        "shop-1": node(
            {"app": shop_1, "app-2": shop_1, "system": min(2.0, 2 * shop_1 + 0.09)},
            counters=_counters("app", "app-2", busiest=shop_1),
        ),
        "shop-2": node(
            {"app-3": shop_2, "app-4": shop_2, "system": min(2.0, 2 * shop_2 + 0.15)},
            programs=(noisy,),
            counters=_counters("app-3", "app-4", busiest=shop_2),
            lag_s=-0.03,
        ),
    }
    own = node({"system": 0.2})
    names = tuple(replace(it, name="runner") if it.name == "agent" else it for it in own.subjects)
    samples = tuple(
        replace(it, cpu_s={"runner": it.cpu_s["agent"], "system": it.cpu_s["system"]}) for it in own.samples
    )
    return ObservedFacts(names, samples, nodes=nodes)


def _counters(*apps: str, busiest: float) -> tuple[Counter, ...]:
    threads = (Counter(app, "threads.hottest_cores", "cores", "gauge", busiest, busiest) for app in apps)
    lost = Counter("net:host", "tcp.syn_retransmits", "count", "counter", 10, 12)
    return (*threads, lost)


def node_load(name: str, planned: int, **changes: Any) -> NodeLoad:
    """Return half of a stage's load."""
    clock = ClockFacts(offset_ns=4_999_999_997_781, error_ns=61_500, round_trip_ns=123_000, drift_ns=8_200)
    known = NodeLoad(
        name, workers=1, share=0.5, planned=planned, clock=clock, start_error_ns=69_700, cpu_s=1.21,
        ceiling_rps=3_100.0, scheduled=planned,
    )  # fmt: skip
    return replace(known, **changes)


def on_nodes(order: int, stage: str, rps: int, succeeded: int, ms: float, **changes: Any) -> TrialFacts:
    """Return a trial whose load came from two nodes."""
    halves = tuple(node_load(name, rps * 2) for name in ("load-1", "load-2"))
    known = trial(order, stage, rps, succeeded, ms, 0.0)
    own = {
        "load": load(rps, succeeded, ms, workers=2, nodes=halves),
        "observed": observed(),
        "topology": SYSTEM,
    }
    return replace(known, **{**own, **changes})


CALM = on_nodes(0, "1,000 RPS", 1000, 1000, 2.5)
SHORT = on_nodes(1, "4,000 RPS", 4000, 2600, 180.0, observed=observed(0.97, 0.44, 0.6))
"""The replicas on ``shop-1`` are full, those on ``shop-2`` have half of the work."""
WHY_LOST = "its connection ended"
LOST_REASON = f"generator lost on load-2: {WHY_LOST}; 3,000 requests not offered or without a known end"
_LOST_LOAD = node_load(
    "load-2", 8000, scheduled=5000, lost=WHY_LOST, lost_at_s=2.5, not_offered=3000, start_error_ns=None
)
_UNTIL_LOST = replace(
    load(
        4000,
        4000,
        4.0,
        workers=2,
        lost_workers=(LOST_REASON,),
        drops=DropCauses(not_offered=3000),
        nodes=(node_load("load-1", 8000), _LOST_LOAD),
    ),
    seconds=tuple(second(index, rate, rate, 4.0) for index, rate in enumerate((4000, 4000, 3000, 2000))),
)
LOST = on_nodes(
    1, "4,000 RPS", 4000, 4000, 4.0, load=_UNTIL_LOST, events=(Event("generator-lost", LOST_REASON, t_s=2.5),)
)
"""``load-2`` loses its network in the third second, and is in time until then."""
