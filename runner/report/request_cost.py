"""The cost of each step between configurations: CPU time per request by role, and milliseconds.

Configurations are read in the order of the file, so one that adds a hop to the one before it shows the cost
of that hop. Only configurations with the same kind of connections are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from runner.analyze.medians import of_medians
from runner.core.codes import Limit, Role
from runner.core.results import ConfigurationResults, Results
from runner.core.stage_results import Stage
from runner.core.units import PerSecond
from runner.report import number_format
from runner.report.markdown_text import EMPTY, Markdown, Section, join, listed, markdown, table
from runner.report.metric_text import role_name
from runner.report.number_format import NOT_APPLICABLE, NOT_MEASURED
from runner.report.prose import title
from runner.report.system_text import connections
from runner.report.tables import every_stage

_ROLES: Final = (Role.APP, Role.PROXY, Role.FORWARDER, Role.OTHER, Role.SYSTEM)
_HOPS: Final = frozenset({Role.PROXY, Role.FORWARDER})
_LEAST: Final = 3
_FULL: Final = 0.9
_NO_VALUE: Final = "no finite value"


class _Load(NamedTuple):
    """What the steps of one ladder have in common: the target rate and the kind of connections."""

    rate: float
    connection: str


@dataclass(frozen=True, slots=True)
class _Step:
    """One configuration at one rate.

    Attributes:
        costs: Role to CPU microseconds per successful response.
        unqueued: Whether it kept up on a host with free CPU, so that its duration includes no queue.
        hops: What stands in front of the app.
        on_nodes: Whether it ran on several machines.
        most_lost: Whether half of the requests failed or were dropped, so that there is no finite p50.
    """

    name: str
    costs: Mapping[str, float]
    p50_ms: float | None
    unqueued: bool
    kind: str
    hops: frozenset[Role]
    on_nodes: bool = False
    most_lost: bool = False


def _has_nodes(configurations: Sequence[ConfigurationResults]) -> bool:
    return any(stage.nodes for _, stage in every_stage(configurations))


def ladders(results: Results) -> list[Section]:
    """Return table and sentences for every rate and kind of connection that three configurations share."""
    cores = None if _has_nodes(results.configurations) else results.cpu_count
    long = _long(results.configurations, cores)
    return [
        Section(
            heading=f"{number_format.rate(load.rate)} RPS, {connections(load.connection)}",
            table=_table(steps, cores if load.rate == _highest(long, load.connection) else None),
            sentence=join(" ", filter(None, (_most_expensive(steps), _growth(steps), _set_up(long, load)))),
        )
        for load, steps in long.items()
    ]


def _highest(long: Mapping[_Load, Sequence[_Step]], connection: str) -> PerSecond:
    """Return the highest rate with a kind of connection: a request costs more CPU at lower ones."""
    return max(load.rate for load in long if load.connection == connection)


def answer(configurations: Sequence[ConfigurationResults]) -> Markdown:
    """Return whether hops or connection set-up cost more, at the highest rate that shows it."""
    long = _long(configurations, None)
    loads = sorted((load for load in long if load.connection == "new"), reverse=True)
    return next((sentence for load in loads if (sentence := _set_up(long, load))), EMPTY)


def _long(configurations: Sequence[ConfigurationResults], cores: int | None) -> dict[_Load, list[_Step]]:
    ladders: dict[_Load, list[_Step]] = {}
    for configuration, stage in every_stage(tuple(map(of_medians, configurations))):
        if stage.achieved is not None and stage.target_rps is not None:
            load = _Load(stage.rate, configuration.load.connection)
            ladders.setdefault(load, []).append(_step(configuration, stage, cores))
    return {load: steps for load, steps in ladders.items() if len(steps) >= _LEAST}


def _step(configuration: ConfigurationResults, stage: Stage, cores: int | None) -> _Step:
    costs = {role: cost for role, cost in stage.cpu_us_per_request.items() if cost is not None}
    host = stage.cpu_cores.get(Role.SYSTEM)
    free = not cores or host is None or host.avg < _FULL * cores
    return _Step(
        title(configuration),
        costs,
        stage.duration_ms.p50,
        stage.verdict.code is Limit.WITHIN_CAPACITY and free,
        configuration.topology.kind,
        frozenset(role for role in _HOPS if role in costs),
        bool(stage.nodes),
        stage.duration_ms.why_unbounded("p50") is not None,
    )


def _table(steps: Sequence[_Step], cores: int | None) -> Markdown:
    roles = [role for role in _ROLES if any(role in step.costs for step in steps)]
    whole = "all nodes" if any(step.on_nodes for step in steps) else "host"
    names = [whole if role is Role.SYSTEM else role_name(role) for role in roles]
    head = ["Configuration", *(f"{name} (µs)" for name in names), "step (µs)", "p50 (ms)", "step (ms)"]
    head += ["CPU-bound maximum (RPS)"] if cores else []
    rows = []
    for before, step in _pairs(steps):
        costs = [*(_micros(step.costs.get(role)) for role in roles), _signed(_extra_us(before, step), ",.0f")]
        p50 = _NO_VALUE if step.most_lost else number_format.ms(step.p50_ms)
        p50 += "" if step.unqueued or step.most_lost else " (queued)"
        highest = [_highest_rate(step, cores)] if cores else []
        rows.append([step.name, *costs, p50, _signed(_extra_ms(before, step), ".2f"), *highest])
    return table(head, rows)


def _pairs(steps: Sequence[_Step]) -> Iterator[tuple[_Step | None, _Step]]:
    """Yield every step after the nearest one before it that has no hop which it lacks."""
    for place, step in enumerate(steps):
        yield next((before for before in reversed(steps[:place]) if before.hops <= step.hops), None), step


def _highest_rate(step: _Step, cores: int) -> str:
    """Return the rate at which every core of the host would be full."""
    cost = step.costs.get(Role.SYSTEM)
    return number_format.rate(round(cores * 1e6 / cost, -2)) if cost else NOT_MEASURED


def _extra_us(before: _Step | None, step: _Step) -> float | None:
    if before is None or Role.SYSTEM not in before.costs or Role.SYSTEM not in step.costs:
        return None
    return step.costs[Role.SYSTEM] - before.costs[Role.SYSTEM]


def _extra_ms(before: _Step | None, step: _Step) -> float | None:
    """Return None if one of them did not keep up: its duration is that of a queue, not of a hop."""
    if before is None or before.p50_ms is None or step.p50_ms is None:
        return None
    return step.p50_ms - before.p50_ms if before.unqueued and step.unqueued else None


def _micros(cost: float | None) -> str:
    return NOT_APPLICABLE if cost is None else number_format.micros(cost)


def _signed(value: float | None, form: str) -> str:
    return NOT_APPLICABLE if value is None else f"{value:+{form}}"


def _most_expensive(steps: Sequence[_Step]) -> Markdown:
    pairs = [(_extra_us(before, step), before.name, step.name) for before, step in _pairs(steps) if before]
    known = [(extra, before, after) for extra, before, after in pairs if extra is not None]
    if not known:
        return EMPTY
    extra, *names = max(known)
    step = markdown("The most expensive step is from {} to {}", *names)
    where = "CPU of all nodes" if any(one.on_nodes for one in steps) else "host CPU"
    return markdown("{}: {:+,.0f} µs of {} per request.", step, extra, where)


def _growth(steps: Sequence[_Step]) -> Markdown:
    """Return what the last configuration costs more than the first, by role."""
    first, last = steps[0].costs, steps[-1].costs
    before, after = first.get(Role.SYSTEM), last.get(Role.SYSTEM)
    if not before or after is None:
        return EMPTY
    whose = "CPU of all nodes" if any(one.on_nodes for one in steps) else "host CPU"
    more = {role: last[role] - first.get(role, 0.0) for role in _ROLES[:-1] if role in last}
    shares = [
        f"{role_name(role)} {extra:+,.0f} µs"
        for role, extra in sorted(more.items(), key=lambda pair: -pair[1])
    ]
    return markdown(
        "From {} to {}, {} per request changes by a factor of {:.1f}, {:+,.0f} µs: {}.",
        *(steps[0].name, steps[-1].name, whose, after / before, after - before, listed(shares)),
    )


def _set_up(long: Mapping[_Load, Sequence[_Step]], load: _Load) -> Markdown:
    """Return what new connections add to the last configuration, against what its hops add."""
    kept, new = long.get(_Load(load.rate, "keep-alive"), ()), long.get(load, ())
    same = [(step.kind, step.hops) for step in kept] == [(step.kind, step.hops) for step in new]
    if load.connection != "new" or not kept or not same:
        return EMPTY
    first, last, fresh = kept[0], kept[-1], new[-1]
    if any(Role.SYSTEM not in step.costs for step in (first, last, fresh)):
        return EMPTY
    hops, set_up = _more(first, last, Role.SYSTEM), _more(last, fresh, Role.SYSTEM)
    costs = markdown(
        "At {:rate} RPS with keep-alive connections, the hops add {:,.0f} µs per request. A new connection "
        "per request adds another {:,.0f} µs over all hops.",
        *(load.rate, hops, set_up),
    )
    unseen = (_more(first, last, Role.OTHER), _more(last, fresh, Role.OTHER))
    if (set_up > hops) != (set_up - unseen[1] > hops - unseen[0]):
        more = markdown("Which of the two costs more is unknown: {:+,.0f} µs of it", max(unseen, key=abs))
        return markdown("{} {} went to processes that were not monitored.", costs, more)
    if set_up > hops:
        return markdown("{} Connection set-up costs more than the hops themselves.", costs)
    return markdown("{} The hops themselves cost more than connection set-up.", costs)


def _more(before: _Step, after: _Step, role: Role) -> float:
    return after.costs.get(role, 0.0) - before.costs.get(role, 0.0)
