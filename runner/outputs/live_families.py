"""The metrics of a run in progress: name, unit and meaning of each, and its values at this instant.

OpenMetrics and OTLP are both made from this list, and so is its description for people. Names follow
OpenMetrics: base units as suffixes, ``_total`` for what only grows (added where they are written).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from runner.outputs.live_points import (
    Point,
    buckets,
    counts,
    current,
    elapsed,
    length,
    of_roles,
    of_stages,
    of_trial,
    percentiles,
    run_state,
)
from runner.outputs.live_totals import LiveTotals


class Type(StrEnum):
    """How a metric behaves."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """A metric.

    Attributes:
        name: Without the suffix of its type.
        unit: As in OTLP (UCUM); empty for a pure number.
        labels: Names, those of the place first.
        read: Yields its values; the totals are locked meanwhile.
    """

    name: str
    type: Type
    unit: str
    meaning: str
    labels: tuple[str, ...]
    read: Callable[[LiveTotals], Iterator[Point]]


_RUN: Final = ("experiment",)
_STAGE: Final = ("experiment", "configuration", "stage")


FAMILIES: Final = (
    Family(
        "loadproof_run_in_progress", Type.GAUGE, "",
        "1 while the run is in progress, 0 after its end", (*_RUN, "run_id"), run_state,
    ),
    Family(
        "loadproof_stage_in_progress", Type.GAUGE, "",
        "1 while the stage is offered, 0 after its end; the last stage that began",
        _STAGE, of_trial(lambda totals: float(not totals.ended)),
    ),
    Family(
        "loadproof_stage_elapsed_seconds", Type.GAUGE, "s",
        "Time since the stage began, its warm-up included", _STAGE, of_trial(elapsed),
    ),
    Family(
        "loadproof_stage_length_seconds", Type.GAUGE, "s",
        "Planned length of the stage, its warm-up included", _STAGE, of_trial(length),
    ),
    Family(
        "loadproof_trials", Type.COUNTER, "{trial}",
        "Trials that ended, by status: complete, failed or aborted", (*_STAGE, "status"),
        of_stages(lambda totals: counts(totals.trials)),
    ),
    Family(
        "loadproof_search_probes", Type.COUNTER, "{probe}",
        "Probes of a search, by result: passed, failed or undecided", (*_STAGE, "result"),
        of_stages(lambda totals: counts(totals.probes)),
    ),
    Family(
        "loadproof_requests", Type.COUNTER, "{request}",
        "Requests due in measured windows that ended, by result: succeeded, a kind of failure, or dropped",
        (*_STAGE, "request", "result"), of_stages(lambda totals: iter(totals.requests.items())),
    ),
    Family(
        "loadproof_scenarios", Type.COUNTER, "{scenario}",
        "Runs of scenarios due in measured windows that ended, by result: completed, a kind of failure, "
        "unfinished, or dropped",
        (*_STAGE, "scenario", "result"), of_stages(lambda totals: iter(totals.scenarios.items())),
    ),
    Family(
        "loadproof_request_duration_seconds", Type.HISTOGRAM, "s",
        "Of successful requests: from the connection being ready to the last byte of the response",
        (*_STAGE, "request"), of_stages(lambda totals: buckets(totals.duration)),
    ),
    Family(
        "loadproof_response_time_seconds", Type.HISTOGRAM, "s",
        "Of successful requests: from the time a request was due to the last byte of the response",
        (*_STAGE, "request"), of_stages(lambda totals: buckets(totals.response_time)),
    ),
    Family(
        "loadproof_scenario_duration_seconds", Type.HISTOGRAM, "s",
        "Of completed runs of scenarios: from the time a user was due to the end of the last step",
        (*_STAGE, "scenario"), of_stages(lambda totals: buckets(totals.scenario_duration)),
    ),
    Family(
        "loadproof_latency_seconds", Type.GAUGE, "s",
        "Percentiles of the response time in the last second (of the duration with a number of users)",
        (*_STAGE, "percentile"), of_roles(percentiles),
    ),
    Family(
        "loadproof_target_requests_per_second", Type.GAUGE, "{request}/s",
        "Requests due per second now", _STAGE, current(lambda second: second.target_rps),
    ),
    Family(
        "loadproof_target_users_per_second", Type.GAUGE, "{user}/s",
        "Users due per second now", _STAGE, current(lambda second: second.target_users_per_s),
    ),
    Family(
        "loadproof_successful_requests_per_second", Type.GAUGE, "{request}/s",
        "Successful responses in the last second, the warm-up included", _STAGE,
        current(lambda second: second.rps),
    ),
    Family(
        "loadproof_completed_scenarios_per_second", Type.GAUGE, "{scenario}/s",
        "Runs of scenarios completed in the last second", _STAGE,
        current(lambda second: second.scenarios_per_s),
    ),
    Family(
        "loadproof_requests_in_flight", Type.GAUGE, "{request}",
        "Requests under way", _STAGE, current(lambda second: second.in_flight),
    ),
    Family(
        "loadproof_users", Type.GAUGE, "{user}",
        "Users of scenarios under way", _STAGE, current(lambda second: second.users),
    ),
    Family(
        "loadproof_cpu_cores", Type.GAUGE, "{core}",
        "CPU cores that a role used over about the last second; the role system is the whole machine, the "
        "others included", (*_STAGE, "role"),
        of_roles(lambda second: iter(second.cores.items())),
    ),
    Family(
        "loadproof_memory_bytes", Type.GAUGE, "By",
        "Resident memory of a role", (*_STAGE, "role"),
        of_roles(lambda second: iter(second.memory_bytes.items())),
    ),
)  # fmt: skip
"""In the order in which they are written."""


def values(totals: LiveTotals, *, recent: bool = False) -> list[tuple[Family, list[Point]]]:
    """Return every metric that has a value, with its values at one instant.

    Args:
        totals: Of the run.
        recent: Leave out the histograms of all stages but the last two that began: they are most of the
            text, and who reads every second has had those of earlier stages.
    """
    with totals.lock:
        read = [(family, list(family.read(totals))) for family in FAMILIES]
        last = {(stage.configuration, stage.stage) for stage in totals.last_stages} if recent else None
    if last is not None:
        read = [
            (
                family,
                [point for point in points if family.type is not Type.HISTOGRAM or point.labels[1:3] in last],
            )
            for family, points in read
        ]
    return [(family, points) for family, points in read if points]
