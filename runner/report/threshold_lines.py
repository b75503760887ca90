"""Thresholds in one line each, over all stages: ``passed in 2 of 3 stages; failed at 4,000 RPS: 314 ms``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from runner.analyze.medians import of_medians
from runner.core.codes import StageStatus
from runner.core.judgements import ThresholdResult
from runner.core.results import ConfigurationResults, Results
from runner.core.stage_results import Stage
from runner.report.markdown_text import Markdown, code, markdown
from runner.report.metric_text import threshold_value
from runner.report.number_format import plural
from runner.report.prose import title

_NAMED: Final = 3
"""Failures of one threshold that its line names; the others are counted."""


@dataclass(frozen=True, slots=True)
class ThresholdLine:
    """One threshold in all stages that it was checked in; of repeats, their median.

    Attributes:
        expr: As in the specification.
        passed: Number of stages that passed.
        total: Number of stages that it was checked in, >= 1.
        result: What came out, in plain text: ``passed in 2 of 3 stages; failed at 4,000 RPS: 314 ms``.
    """

    expr: str
    passed: int
    total: int
    result: str

    @property
    def ok(self) -> bool:
        """Whether all stages passed."""
        return self.passed == self.total

    @property
    def text(self) -> str:
        """The whole line as plain text."""
        return f"{self.expr}: {self.result}"

    @property
    def markdown(self) -> Markdown:
        """The whole line as Markdown."""
        return markdown("{}: {}", code(self.expr), self.result)


class _Check(NamedTuple):
    """A threshold in one stage."""

    place: str
    stage: Stage
    result: ThresholdResult


def threshold_lines(results: Results | Sequence[ConfigurationResults]) -> list[ThresholdLine]:
    """Return a line for each threshold, in the order of the specification.

    Args:
        results: A run, or some of its configurations; the line names them where there are several.
    """
    configurations = results.configurations if isinstance(results, Results) else results
    several = len(configurations) > 1
    checks: dict[str, list[_Check]] = {}
    for configuration in map(of_medians, configurations):
        for stage in configuration.stages:
            place = f"{title(configuration)}, {stage.title}" if several else stage.title
            for result in stage.thresholds:
                checks.setdefault(result.expr, []).append(_Check(place, stage, result))
    return [_line(expr, of_expr) for expr, of_expr in checks.items()]


def _line(expr: str, checks: Sequence[_Check]) -> ThresholdLine:
    broken = [check for check in checks if not check.result.ok]
    total, passed = len(checks), len(checks) - len(broken)
    if not broken:
        result = f"passed{_measured(checks[0])}" if total == 1 else f"passed in {total} of {total} stages"
    elif total == 1:
        result = f"failed at {_value(broken[0])}"
    else:
        every = "both" if total == 2 else f"all {total}"
        result = f"failed in {every} stages ({_failures(broken)})"
        if passed:
            result = f"passed in {passed} of {total} stages; failed at {_failures(broken)}"
    return ThresholdLine(expr, passed, total, result)


def _measured(check: _Check) -> str:
    return f" at {_value(check)}"


def _failures(broken: Iterable[_Check]) -> str:
    """Return the stages that failed with their values, the first few by name."""
    values = [_value(check) for check in broken]
    more = len(values) - _NAMED
    return "; ".join([*values[:_NAMED], *([plural(more, "more stage")] if more > 0 else [])])


def _value(check: _Check) -> str:
    if check.stage.status is StageStatus.NOT_RUN:
        return f"{check.place}: not run"
    return f"{check.place}: {threshold_value(check.result, check.stage)}"
