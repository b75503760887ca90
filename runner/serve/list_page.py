"""The list of experiments and runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from runner.serve.listing import Row, listing, query_of, row
from runner.serve.requests import html, site_of
from runner.store.run_before import run_before
from runner.store.run_summary import RunState, RunSummary

_SHOWN: Final = 12
"""Experiments, unless all are asked for."""
_TREND: Final = 30


@dataclass(frozen=True, slots=True)
class ExperimentRow:
    """An experiment in its table.

    Attributes:
        name: Of the experiment.
        runs: How many there are.
        latest: The newest run.
        changes: Its row, with the changes against the run before.
        rates: Of the newest runs on machines of one kind, the oldest first.
        latencies: Their p95 in ms, likewise.
    """

    name: str
    runs: int
    latest: RunSummary
    changes: Row
    rates: tuple[float, ...]
    latencies: tuple[float, ...]


async def list_page(request: Request) -> Response:
    """Return the list; its parameters are those of `runner.serve.listing.query_of`."""
    site = site_of(request)
    await site.glance()
    runs, query = site.index.rows, query_of(request.query_params)
    before = run_before(runs)
    every = experiments(runs, before)
    shows_all = request.query_params.get("experiments") == "all"
    return html(
        "list.html.j2",
        request,
        query=query,
        listing=listing(runs, query, before),
        runs=len(runs),
        experiments=every if shows_all else every[:_SHOWN],
        more=0 if shows_all else max(len(every) - _SHOWN, 0),
        verdicts=sorted({run.verdict or run.state.value for run in runs}),
        unread=site.reading,
        has_looked=site.index.has_looked or bool(site.problem),
        is_partial=site.index.is_partial,
        problem=site.problem,
        version=site.index.version,
    )


def experiments(runs: Sequence[RunSummary], before: Mapping[str, RunSummary]) -> list[ExperimentRow]:
    """Return the experiments that have runs with results, the one with the newest run first."""
    groups: dict[str, list[RunSummary]] = {}
    for run in runs:
        if run.is_measured and run.experiment:
            groups.setdefault(run.experiment, []).append(run)
    return [_experiment(name, group, before) for name, group in groups.items()]


def _experiment(name: str, group: Sequence[RunSummary], before: Mapping[str, RunSummary]) -> ExperimentRow:
    latest = group[0]
    alike = [run for run in group if (run.machine, run.unit) == (latest.machine, latest.unit)][:_TREND]
    return ExperimentRow(
        name,
        len(group),
        latest,
        row(latest, before.get(latest.path)),
        rates=tuple(run.rate for run in reversed(alike) if run.rate is not None),
        latencies=tuple(run.p95_ms for run in reversed(alike) if run.p95_ms is not None),
    )


def is_selectable(run: RunSummary) -> bool:
    """Return whether a run can be compared."""
    return run.state in {RunState.COMPLETE, RunState.ABORTED}
