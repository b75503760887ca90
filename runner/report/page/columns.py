"""The columns of the page's tables of stages and of requests, with a definition of what each shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from runner.core.metric import Metric
from runner.core.metrics import METRICS
from runner.core.stage_results import Stage
from runner.report import metric_text, number_format
from runner.report.exact_numbers import exact
from runner.report.sparkline import rate_sparkline
from runner.report.tables import target_rps, users_per_s


@dataclass(frozen=True, slots=True)
class Definition:
    """An entry of the page's glossary; several columns may share it."""

    term: str
    text: str

    @property
    def anchor(self) -> str:
        """Its id in the page."""
        return f"definition-{self.term.lower().replace(' ', '-')}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of numbers, or of curves, which have no `number` to sort by."""

    heading: str
    definition: Definition
    text: Callable[[Stage], str]
    number: Callable[[Stage], float | None] | None

    def sort_key(self, stage: Stage) -> float | None:
        """Return the number that a stage's cell is sorted by; None where there is none."""
        return exact(self.number(stage)) if self.number else None


def _metric(path: str, write: Callable[[Metric, Stage], str] = metric_text.cell) -> Column:
    metric = METRICS[path]
    definition = Definition(metric.term, metric.definition)

    def text(stage: Stage) -> str:
        return write(metric, stage)

    return Column(metric_text.heading(metric), definition, text, metric.read)


def _number(shown: Definition, text: Callable[[float], str], number: Callable[[Stage], float]) -> Column:
    return Column(shown.term, shown, lambda stage: text(number(stage)), number)


VERDICT: Final = Definition(
    "Verdict",
    "What limited the stage, and how sure that is: proven by a counter that cannot rise for another reason "
    "or by a counter-experiment, likely, or a hint.",
)
_TARGET_RPS: Final = Definition(
    "Target RPS", "Requests offered per second, on an absolute schedule that does not wait for responses."
)
_USERS_PER_S: Final = Definition(
    "Users/s", "Users who start a scenario per second, on an absolute schedule that does not wait for others."
)
_LOST: Final = Definition(
    METRICS["errors"].term, "Scheduled requests that failed a check, got no response, or were never sent."
)
_CURVE: Final = Definition(
    "Rate over Time",
    "Successful responses in each second of the measured window; the full height is the target rate.",
)
_PERCENTILES: Final = Definition(
    "p50, p95 and p99", "50 %, 95 % and 99 % of the requests had at most this value."
)

_FAILED: Final = _number(_LOST, number_format.count, lambda stage: stage.requests.lost)
_OF_SCENARIOS: Final = (
    Column(_USERS_PER_S.term, _USERS_PER_S, users_per_s, lambda stage: stage.mean_users_per_s),
    *map(_metric, ("scenarios_per_s", "scenario_errors", "scenario_duration.p50", "scenario_duration.p95")),
)
COLUMNS: Final = (
    Column(_TARGET_RPS.term, _TARGET_RPS, target_rps, lambda stage: stage.target_rps),
    *_OF_SCENARIOS,
    *map(_metric, ("actual_rps", "achieved", "duration.p50", "duration.p95", "duration.p99")),
    _metric("response_time.p95"),
    _FAILED,
    *map(_metric, ("cpu.app.avg", "cpu.system.avg")),
    Column(_CURVE.term, _CURVE, rate_sparkline, None),
)
SCENARIO_COLUMNS: Final = (
    _OF_SCENARIOS[0],
    *map(_metric, ("scenarios_per_s", "achieved", "scenario_errors")),
    *(
        _metric(path, metric_text.brief_cell)
        for path in ("scenario_duration.p50", "scenario_duration.p95", "scenario_duration.p99")
    ),
)
REQUEST_COLUMNS: Final = (
    COLUMNS[0],
    *map(_metric, ("actual_rps", "achieved")),
    *(
        _metric(path, metric_text.brief_cell)
        for path in ("duration.p50", "duration.p95", "duration.p99", "response_time.p95")
    ),
    _FAILED,
)
"""Of the table of a mix's requests, and of the steps of scenarios."""


def definitions(*, scenarios: bool) -> list[Definition]:
    """Return the glossary, in the order of the columns, with or without those of scenarios."""
    columns = (column for column in COLUMNS if scenarios or column not in _OF_SCENARIOS)
    return list(dict.fromkeys([VERDICT, *(column.definition for column in columns), _PERCENTILES]))
