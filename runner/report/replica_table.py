"""The table of replicas: whether they shared the work evenly, and what a CPU quota cost each of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Final

from runner.core.codes import Role
from runner.core.observed_results import CounterReading
from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.markdown_text import EMPTY, Markdown, join, markdown, table
from runner.report.number_format import NOT_MEASURED

_PERIODS: Final = "throttled CPU periods"
_ACCEPTED: Final = "tcp.passive_opens"
COUNTED: Final = markdown(
    "Requests: what each replica counted itself between two readings, one near each end of the measured "
    "window. They show how the replicas shared the load. Requests around a reading may be missing, so the "
    "numbers need not add up to the requests of the load."
)
_MOST: Final = 40
"""Of more replicas the busiest are shown; results have all of them."""


def replicas(stages: Sequence[Stage]) -> Markdown:
    """Return CPU, requests and throttling by replica; empty for one replica without a quota.

    Where no replica counts its requests, the connections that its own network accepted show its share.
    """
    every = list(dict.fromkeys(name for stage in stages for name in _app_subjects(stage)))
    names = _busiest(every, stages)
    several = names if len(names) > 1 else []
    counted = several if any(stage.requests_by_subject for stage in stages) else []
    limited = [name for name in names if any(name in stage.throttling_by_subject for stage in stages)]
    accepting = [] if counted else [name for name in several if any(_accepted_by(it, name) for it in stages)]
    kinds = (
        ("CPU cores", _cpu, several),
        ("requests", _requests, counted),
        ("connections accepted", _accepted, accepting),
        (_PERIODS, _throttled, limited),
    )
    rows = [
        [f"{name}, {what}", *(cell(stage, name) for stage in stages)]
        for what, cell, shown in kinds
        for name in shown
    ]
    if rows and len(every) > len(names):
        rows.append([f"{len(every) - len(names):,} more replicas", *("" for _ in stages)])
    if not rows:
        return EMPTY
    shown = table(["Replica", *(stage.title for stage in stages)], rows)
    return join("\n\n", [shown, COUNTED]) if counted else shown


def _busiest(names: list[str], stages: Sequence[Stage]) -> list[str]:
    """Return the replicas that used most CPU in a stage, in the order of replicas."""
    if len(names) <= _MOST:
        return names
    most = sorted(names, key=lambda name: max(_average_cpu(stage, name) for stage in stages), reverse=True)
    shown = set(most[:_MOST])
    return [name for name in names if name in shown]


def _average_cpu(stage: Stage, name: str) -> float:
    subject = stage.cpu_cores_by_subject.get(name)
    return (subject.cpu.avg or 0.0) if subject and subject.cpu else 0.0


def _app_subjects(stage: Stage) -> list[str]:
    return [name for name, subject in stage.cpu_cores_by_subject.items() if subject.role == Role.APP]


def _accepted_by(stage: Stage, name: str) -> CounterReading | None:
    """Return the counter of connections that a replica with a network of its own accepted."""
    counters = chain(stage.counters, *(node.counters for node in stage.nodes))
    return next((it for it in counters if (it.scope, it.name) == (f"net:{name}", _ACCEPTED)), None)


def _accepted(stage: Stage, name: str) -> str:
    known = {it: _accepted_by(stage, it) for it in _app_subjects(stage)}
    accepted = known.get(name)
    if accepted is None:
        return NOT_MEASURED
    total = sum((one.delta or 0) for one in known.values() if one)
    if not total or None in known.values():
        return f"{accepted.delta or 0:,.0f}"
    return f"{accepted.delta or 0:,.0f} ({number_format.share((accepted.delta or 0) / total)})"


def _throttled(stage: Stage, name: str) -> str:
    cost = stage.throttling_by_subject.get(name)
    return number_format.share(cost.throttled / (cost.periods or 1) if cost else None)


def _cpu(stage: Stage, name: str) -> str:
    subject = stage.cpu_cores_by_subject.get(name)
    return number_format.cores(subject.cpu.avg if subject and subject.cpu else None)


def _requests(stage: Stage, name: str) -> str:
    counted = stage.requests_by_subject
    total = sum(counted.values())
    if name not in counted or not total:
        return NOT_MEASURED
    if any(replica not in counted for replica in _app_subjects(stage)):
        return f"{counted[name]:,}"  # a share of the requests of only some replicas would be too large
    return f"{counted[name]:,} ({number_format.share(counted[name] / total)})"
