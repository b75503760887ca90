"""The tables of a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from msgspec import UNSET

from runner.analyze.median_stage import MEDIAN
from runner.analyze.medians import of_medians
from runner.core.codes import Role, is_service
from runner.core.measured import Measured
from runner.core.metric import Metric
from runner.core.metrics import LATENCIES, METRICS, lost_share, lost_share_of_scenarios
from runner.core.observed_results import Moment
from runner.core.result_values import EnvironmentValue
from runner.core.results import ConfigurationResults
from runner.core.stage_results import Stage
from runner.report import metric_text, number_format
from runner.report.markdown_text import EMPTY, Markdown, code, markdown, table
from runner.report.number_format import NOT_APPLICABLE, NOT_MEASURED
from runner.report.response_tables import counts, failure_kinds
from runner.report.sparkline import sparkline, top_rps
from runner.report.stage_choice import limit_or_state

Configurations: TypeAlias = Sequence[ConfigurationResults]
_Cell: TypeAlias = Callable[[Stage], str]
_Row: TypeAlias = tuple[str, _Cell]
_ROLES: Final = (Role.APP, Role.PROXY, Role.FORWARDER, Role.DAEMON, Role.GENERATOR, Role.RUNNER)
_TOTALS: Final = (Role.OTHER, Role.SYSTEM)
_OF_SCENARIOS: Final = ("scenario_duration.p50", "scenario_duration.p95", "scenario_duration.p99")
_DURATIONS: Final = ("duration.mean", "duration.p50", "duration.p95", "duration.p99")
_CPU: Final = ("cpu.app.avg", "cpu.app.peak", "cpu.system.avg")
_COMPARED: Final = ("actual_rps", "achieved", "duration.p95", "cpu.app.avg", "cpu.system.avg")
_DIFFERS: Final = 1.2
_MISSED: Final = 0.99


def details(stages: Sequence[Stage]) -> Markdown:
    """Return the detailed results: a column for each stage, or Metric and Result for a single one."""
    head = ["Metric", *(stage.title for stage in stages)] if len(stages) > 1 else ["Metric", "Result"]
    rows: list[list[str]] = []
    for group in _groups(stages):
        if rows:
            rows.append([NOT_APPLICABLE] * len(head))
        rows += [[_bold(label), *(cell(stage) for stage in stages)] for label, cell in group]
    return table(head, rows)


def _groups(stages: Sequence[Stage]) -> Iterator[list[_Row]]:
    levels: list[_Row] = [("Target RPS", target_rps), ("Users", users_of), ("Users/s", users_per_s)]
    offered = [row for row in levels if any(row[1](stage) != NOT_APPLICABLE for stage in stages)]
    closed = all(stage.users is not None for stage in stages)  # users have no target rate
    rates = ("actual_rps",) if closed else ("actual_rps", "achieved")
    yield [*offered, *map(metric_row, rates), (lost_heading(stages), lost_cell)]
    if any(stage.scenarios for stage in stages):
        yield [*map(metric_row, ("scenarios_per_s", "scenario_errors", *_OF_SCENARIOS))]
    yield [
        metric_row(path)
        for path in _CPU
        if any(metric_text.applies(METRICS[path], stage) for stage in stages)
    ]
    latencies = [metric_row(path) for path in _DURATIONS]
    if any(stage.calibration for stage in stages):
        latencies.append(("Generator Baseline p50 / p95 / p99 (ms)", _baseline))
    others = [METRICS[f"{kind.name}.p95"] for kind in LATENCIES if kind.name != "duration"]
    known = [metric for metric in others if any(_is_known(metric, stage) for stage in stages)]
    yield latencies + [metric_row(metric.path) for metric in known]


def _is_known(metric: Metric, stage: Stage) -> bool:
    measured = metric.read(stage) is not None or metric.unbounded(stage) is not None
    return measured and metric_text.applies(metric, stage)


def lost_heading(stages: Sequence[Stage]) -> str:
    """Return the heading of lost requests, which beside scenarios says that it is about requests."""
    title = METRICS["errors"].title
    return f"Requests {title}" if any(stage.scenarios for stage in stages) else title


def metric_row(path: str) -> _Row:
    """Return the heading of a metric, and what writes its value in a stage or in one request of it."""
    metric = METRICS[path]
    cell = _SPECIAL.get(path) or (lambda stage: metric_text.cell(metric, stage))
    return metric_text.heading(metric), cell


def _bold(text: str) -> Markdown:
    return markdown("**{}**", text)


def _baseline(stage: Stage) -> str:
    """Return what the generator itself shows against a no-op server, and at which rate if not at this one."""
    if stage.calibration is None or not stage.calibration.duration_ms:
        return NOT_MEASURED
    rate = stage.calibration.measured_at_rps
    at = "" if rate is UNSET else f" (at {number_format.rate(rate)} RPS)"
    return f"{three(stage.calibration.duration_ms)}{at}"


def three(duration_ms: Mapping[str, float]) -> str:
    """Return median, p95 and p99 in one cell."""
    return " / ".join(number_format.ms(duration_ms.get(name)) for name in ("p50", "p95", "p99"))


def _connect(stage: Stage) -> str:
    if stage.slices:
        return metric_text.cell(METRICS["connect.p95"], stage)
    return metric_text.no_connects(stage) or number_format.ms(stage.connect_ms.p95)


def _response_time(stage: Stage) -> str:
    """Return it in bold if it differs notably from the duration."""
    shown = metric_text.cell(METRICS["response_time.p95"], stage)
    return _bold(shown) if differs(stage) else shown


def differs(stage: Stage) -> bool:
    """Return whether the p95 response time exceeds the p95 duration by a fifth and by a millisecond."""
    response, duration = stage.response_time_ms.p95, stage.duration_ms.p95
    if response is None or duration is None:
        return False
    return response > _DIFFERS * duration and response - duration > 1


def _actual(stage: Stage) -> str:
    shown = number_format.rate(stage.actual_rps)
    missed = stage.achieved is not None and stage.achieved < _MISSED and not stage.scenarios
    return _bold(shown) if missed else shown


def users_of(stage: Stage) -> str:
    """Return the number of users; of a ramp, both ends."""
    return NOT_APPLICABLE if stage.users is None else metric_text.level_figures(stage)


def users_per_s(stage: Stage) -> str:
    """Return how many users started per second; of a ramp, both ends; only scenarios have it."""
    return NOT_APPLICABLE if stage.users_per_s is None else metric_text.level_figures(stage)


def level_of(stage: Stage) -> str:
    """Return what a stage offered, below `runner.report.metric_text.level_heading`."""
    cells = (users_of, users_per_s, target_rps)
    return next((text for cell in cells if (text := cell(stage)) != NOT_APPLICABLE), NOT_APPLICABLE)


def target_rps(stage: Stage) -> str:
    """Return the offered rate; of a ramp, both ends; users have none, and neither have scenarios."""
    if stage.users is not None or stage.users_per_s is not None:
        return NOT_APPLICABLE
    if stage.ramp is None:
        return number_format.rate(stage.target_rps)
    return f"{number_format.rate(stage.ramp.begin)} to {number_format.rate(stage.ramp.to)}"


def lost_scenarios_cell(stage: Measured) -> str:
    """Return how many runs of scenarios did not complete, in bold if any."""
    runs, share = stage.scenarios, lost_share_of_scenarios(stage)
    if runs is None:
        return NOT_APPLICABLE
    if share is None:
        return NOT_MEASURED
    return markdown("**{:,}** ({})", runs.lost, number_format.share(share)) if runs.lost else "0"


def lost_cell(stage: Measured) -> str:
    """Return how many requests failed or were dropped, in bold if any."""
    lost, share = stage.requests.lost, lost_share(stage)
    if share is None:
        return NOT_MEASURED
    return markdown("**{:,}** ({})", lost, number_format.share(share)) if lost else "0"


_SPECIAL: Final[Mapping[str, _Cell]] = {
    "actual_rps": _actual,
    "errors": lost_cell,
    "scenario_errors": lost_scenarios_cell,
    "response_time.p95": _response_time,
    "connect.p95": _connect,
}
"""Path to a cell that says more than the number."""


def cpu_by_role(stages: Sequence[Stage]) -> Markdown:
    """Return average cores by component, and the host's total that they add up to."""
    rows = []
    for role in _roles(stages):
        usages = [stage.cpu_cores.get(role) for stage in stages]
        cells = [number_format.cores(usage.avg if usage else None) for usage in usages]
        rows.append([_bold("host total") if role == Role.SYSTEM else metric_text.role_name(role), *cells])
    return table(["Component", *(stage.title for stage in stages)], rows) if rows else EMPTY


def memory_by_role(stages: Sequence[Stage]) -> Markdown:
    """Return average memory by component; empty where none was measured."""
    seen = dict.fromkeys(role for stage in stages for role, usage in stage.memory_mib.items() if usage)
    services = [role for role in seen if is_service(role)]
    rows = []
    for role in [role for role in (*_ROLES, *services) if role in seen]:
        usages = [stage.memory_mib.get(role) for stage in stages]
        cells = [number_format.count(usage.avg if usage else None) for usage in usages]
        rows.append([metric_text.role_name(role), *cells])
    return table(["Component", *(stage.title for stage in stages)], rows) if rows else EMPTY


def _roles(stages: Sequence[Stage]) -> list[str]:
    """Return the roles with a number: those of every system, then services by name, then what is left."""
    seen = dict.fromkeys(role for stage in stages for role, usage in stage.cpu_cores.items() if usage)
    services = [role for role in seen if role not in {*_ROLES, *_TOTALS}]
    return [role for role in (*_ROLES, *services, *_TOTALS) if role in seen]


def threshold_repeats(configuration: ConfigurationResults) -> Markdown:
    """Return the value of every threshold in each repeat, beside the median; empty without repeats."""
    rows = [
        [
            code(check.expr),
            stage.title,
            metric_text.threshold_value(check, stage),
            _of_repeats(configuration, stage, place),
            "passed" if check.ok else _bold("failed"),
        ]
        for stage in of_medians(configuration).stages
        for place, check in enumerate(stage.thresholds)
    ]
    head = ["Threshold", "Stage", "Measured", "Repeats", "Result"]
    return table(head, rows, figures=False) if any(row[3] for row in rows) else EMPTY


def _of_repeats(configuration: ConfigurationResults, stage: Stage, place: int) -> str:
    """Return the values of a threshold in each repeat of a stage that is a median; empty for another one."""
    if stage.repeat != MEDIAN:
        return ""
    repeats = [one for one in configuration.stages if one.name == stage.name and not one.find]
    return ", ".join(
        metric_text.value_of(one.thresholds[place], one) if len(one.thresholds) > place else NOT_MEASURED
        for one in repeats
    )


def every_stage(configurations: Configurations) -> Iterator[tuple[ConfigurationResults, Stage]]:
    """Yield every stage of every configuration, with its configuration."""
    for configuration in configurations:
        yield from ((configuration, stage) for stage in configuration.stages)


def outcomes(configurations: Sequence[ConfigurationResults]) -> Markdown:
    """Return every request of every stage in exactly one column."""
    stages = list(every_stage(configurations))
    kinds = failure_kinds(stage for _, stage in stages)
    head = ["Stage", "scheduled", "succeeded", *kinds, "dropped"]
    places = [
        stage_place(configuration.title or configuration.name, stage, len(configurations))
        for configuration, stage in stages
    ]
    rows = [[place, *counts(stage, kinds)] for place, (_, stage) in zip(places, stages, strict=True)]
    return table(head, rows)


def stage_place(configuration: str, stage: Stage, configurations: int) -> str:
    """Return the name of a stage, after that of its configuration if there are several."""
    return stage.title if configurations == 1 else f"{configuration}, {stage.title}"


def over_time(configurations: Sequence[ConfigurationResults]) -> Markdown:
    """Return a small curve of rate and latency for every stage; it stands in for charts."""
    rows = [
        [
            stage_place(configuration.title or configuration.name, stage, len(configurations)),
            code(sparkline([second.rps for second in seconds], top=top_rps(stage))),
            code(sparkline([second.p95_ms for second in seconds])),
            _highest_p95(seconds),
        ]
        for configuration, stage in every_stage(configurations)
        if (seconds := [second for second in stage.timeseries if second.t_s > 0])
    ]
    head = ["Stage", "Responses per second (full height: target)", "p95 over time", "Highest p95 (ms)"]
    return table(head, rows, words=(1, 2)) if rows else EMPTY


def _highest_p95(seconds: Sequence[Moment]) -> str:
    """Return the highest p95 of a second, or that one had no finite p95 because too many requests failed."""
    if any(second.p95_ms is None and second.errors for second in seconds):
        return number_format.NO_FINITE_VALUE
    return number_format.ms(max((second.p95_ms for second in seconds if second.p95_ms), default=None))


def environment(facts: Mapping[str, EnvironmentValue]) -> Markdown:
    """Return the properties of the host that are known."""
    rows = [[name.replace("_", " "), str(value)] for name, value in facts.items() if value is not None]
    return table(["Property", "Value"], rows, figures=False)


def comparison(configurations: Sequence[ConfigurationResults]) -> Markdown:
    """Return all stages of all configurations in one table; empty for a single configuration."""
    if len(configurations) == 1:
        return EMPTY
    columns = [metric_row(path) for path in _COMPARED]
    rows = []
    for configuration, stage in every_stage(configurations):
        cells = [cell(stage) for _, cell in columns]
        rows.append([configuration.title or configuration.name, stage.title, *cells, limit_or_state(stage)])
    return table(["Configuration", "Stage", *(title for title, _ in columns), "Verdict"], rows, words=(1, 7))
