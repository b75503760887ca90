"""Pass or fail: ``duration.p95 < 50ms`` as data.

A threshold is a metric, one of ``< <= > >= ==``, and a bound in the metric's dimension: a time, a
share (``99%`` or ``0.99``), a size, or a number of cores or requests. A selector after the metric's first
word makes it a threshold for one request of a mix, ``duration{request=order}.p95``, for a scenario,
``scenario_duration{scenario=checkout}.p95``, or for one of its steps, ``errors{request=checkout/login}``.
"""

import re
from collections.abc import Iterable
from typing import Any, Final, Literal

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from runner.core.codes import Role
from runner.core.metric import Dimension
from runner.core.metrics import (
    LATENCIES,
    METRICS,
    SCENARIO_DURATION,
    SERVICE_USAGE,
    STATISTICS,
    find_metric,
)
from runner.core.units import NS_PER_MS
from runner.experiment.base_model import SpecModel, invalid_value
from runner.experiment.quantities import MIB, SIZE_UNITS, TIME_UNITS, parse_quantity
from runner.experiment.suggestions import did_you_mean, display, join_words

_LATENCY_NAMES: Final = tuple(latency.name for latency in (*LATENCIES, SCENARIO_DURATION))
_SYNTAX: Final = (
    r"(?P<head>[^\s<>=!≤≥{}]{1,60})(?:\{(?P<selector>[^{}]{0,100})\})?(?P<tail>[^\s<>=!≤≥{}]{0,60})"
    r"\s{0,9}(?P<op>[<>=!≤≥]{1,3}+)\s{0,9}(?P<bound>\S.{0,60})"
)
_REQUEST: Final = "request"
_SCENARIO: Final = "scenario"
_SELECTED: Final = "[a-z0-9-]{1,48}(/[a-z0-9-]{1,48})?"
_SELECTOR: Final = rf"\s{{0,9}}([a-z_]{{1,20}})\s{{0,9}}=\s{{0,9}}({_SELECTED})\s{{0,9}}"
_OPERATORS: Final = ("<", "<=", ">", ">=", "==")
_COMMON_OPERATORS: Final = {"=": "==", "=<": "<=", "=>": ">=", "≤": "<=", "≥": ">=", "===": "=="}
_NUMBER: Final = r"[0-9]{1,15}(?:\.[0-9]{1,9})?"
_NUMBER_OF: Final = {
    Dimension.CORES: "a number of cores, such as 1.5",
    Dimension.RATE: "requests per second, such as 3900",
    Dimension.SCENARIO_RATE: "scenarios per second, such as 5",
    Dimension.SCENARIO_RATE: "scenarios per second, such as 5",
    Dimension.COUNT: "a count, such as 0",
}
_COMMON_STATISTICS: Final = {
    "avg": "mean", "average": "mean", "med": "p50", "median": "p50", "p99.9": "p999", "p100": "max",
}  # fmt: skip


class Threshold(SpecModel):
    """One comparison of a metric with a bound, such as ``duration.p95 < 50ms``.

    `metric` is a dotted path such as ``duration.p95``, ``achieved``, ``errors``, ``cpu.app.avg``.
    `bound` is in the metric's unit in results.json: milliseconds, requests per second, cores,
    MiB, or a fraction (``99%`` is 0.99).
    """

    expr: str = Field(description="The text in the file.")
    metric: str = Field(description="A path in runner.core.metrics.METRICS.")
    op: Literal["<", "<=", ">", ">=", "=="] = Field(description="Comparison of the metric with the bound.")
    bound: float = Field(
        description="In the unit that results.json uses for the metric.", allow_inf_nan=False
    )
    request: str = Field(
        "",
        description="The request of a mix, the scenario or the step that it is about, as in results; empty "
        "for the whole stage.",
    )

    @property
    def selects_scenario(self) -> bool:
        """Whether it is about one scenario, not a request or a step."""
        return re.search(rf"\{{\s*{_SCENARIO}\s*=", self.expr) is not None

    @model_validator(mode="before")
    @classmethod
    def read(cls, value: Any) -> Any:
        """Return the fields of an expression; fields passed from Python stay unchanged."""
        if isinstance(value, str):
            return parse_threshold(value)
        if isinstance(value, dict) and {"expr", "metric", "op", "bound"} <= value.keys():
            return value
        raise invalid_value(f"should be text such as 'duration.p95 < 50ms', not {display(value)}")

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the schema of a threshold in a file: text."""
        metrics = "|".join([*map(_metric_pattern, METRICS), SERVICE_USAGE.replace(r"\.", "[.]")])
        return {
            "type": "string",
            "title": "Threshold",
            "description": "Comparison of a metric with a bound; exit code 99 when it fails.",
            "pattern": rf"^({metrics}) *(<|<=|>|>=|==) *[0-9].*$",
            "examples": ["duration.p95 < 50ms", "achieved >= 99%", "errors{request=order} < 0.1%"],
        }


def _metric_pattern(metric: str) -> str:
    """Return a pattern for a metric with its selector, if it can have one."""
    head, dot, tail = metric.partition(".")
    labels = "|".join(_labels(metric))
    selector = rf"(\{{ *({labels}) *= *{_SELECTED} *\}})?" if labels else ""
    return f"{head}{selector}{dot and '[.]'}{tail.replace('.', '[.]')}"


def parse_threshold(text: str) -> dict[str, object]:
    """Return the fields of a `Threshold`, or raise a `PydanticCustomError` about the text."""
    matched = re.fullmatch(_SYNTAX, text.strip())
    if matched is None:
        raise invalid_value(f"should be 'metric < bound', such as 'duration.p95 < 50ms', not {display(text)}")
    metric, op = matched["head"] + matched["tail"], matched["op"]
    if find_metric(metric) is None:
        raise invalid_value(f"unknown metric {display(metric)}", metric_hint(metric))
    if op not in _OPERATORS:
        hint = f"did you mean '{_COMMON_OPERATORS[op]}'?" if op in _COMMON_OPERATORS else ""
        raise invalid_value(f"unknown operator '{op}'; operators are {join_words(_OPERATORS, 'and')}", hint)
    return {
        "expr": text.strip(),
        "metric": metric,
        "op": op,
        "bound": _bound(metric, matched["bound"].strip()),
        "request": _request(metric, matched["head"], matched["selector"]),
    }


def _labels(metric: str) -> tuple[str, ...]:
    """Return what a selector of a metric can name."""
    known = METRICS.get(metric)
    if known is None or not known.per_request:
        return ()
    return (_SCENARIO,) if known.scenarios_only else (_REQUEST, _SCENARIO)


def _request(metric: str, head: str, selector: str | None) -> str:
    """Return the request, the scenario or the step that a selector names; empty without one."""
    if selector is None:
        return ""
    labels = _labels(metric)
    if not labels:
        raise invalid_value(f"{metric} is measured of the whole stage only", "remove the selector")
    word, _, rest = metric.partition(".")
    example = f"{word}{{{labels[0]}=NAME}}{rest and '.'}{rest}"
    matched = re.fullmatch(_SELECTOR, selector)
    if matched is None or head != word:
        raise invalid_value(f"the selector should be written as {example}")
    label, name = matched[1], matched[2]
    if label not in labels:
        unknown = label not in {_REQUEST, _SCENARIO}
        message = (
            f"unknown selector '{label}'" if unknown else f"{metric} is measured of whole scenarios only"
        )
        raise invalid_value(message, f"did you mean {example}?")
    if label == _SCENARIO and "/" in name:
        scenario = name.partition("/")[0]
        hint = f"write {{{_SCENARIO}={scenario}}}, or {{{_REQUEST}={name}}} for a step"
        raise invalid_value(f"a scenario has no '/' in its name, here {display(name)}", hint)
    return name


def metric_hint(metric: str, services: Iterable[str] = ()) -> str:
    """Return what to write instead of an unknown metric.

    Args:
        metric: What stands in the file.
        services: Names of services, which have metrics of their own.
    """
    bare = _COMMON_STATISTICS.get(metric, metric)
    if bare in STATISTICS:
        return f"say of what: duration.{bare} or response_time.{bare}"
    head, _, statistic = metric.partition(".")
    statistic = _COMMON_STATISTICS.get(statistic, statistic)
    if f"{head}.{statistic}" in METRICS:
        return f"did you mean '{head}.{statistic}'?"
    if head in _LATENCY_NAMES and not statistic:
        return f"add a statistic: {head}.{join_words(STATISTICS)}"
    if head in {"cpu", "memory"}:
        return _role_hint(head, statistic, services)
    latencies = ", ".join(f"{latency.name}.p95" for latency in LATENCIES)
    overview = f"{latencies} (also {join_words(STATISTICS)}), actual_rps, achieved, errors, dropped"
    of_scenarios = "and of scenarios scenario_duration.p95, scenario_errors, scenarios_per_s"
    overview = f"{overview}, cpu.ROLE.avg, memory.ROLE.peak, {of_scenarios}"
    return did_you_mean(metric, METRICS) or f"metrics are {overview}"


def _role_hint(head: str, rest: str, services: Iterable[str]) -> str:
    name, _, of = rest.partition(".")
    roles = [*(role.value for role in Role), *services]
    if name not in roles:
        return did_you_mean(name, roles) or f"roles are {join_words(roles, 'and')}"
    return f"did you mean '{head}.{name}.{'peak' if of in {'max', 'peak'} else 'avg'}'?"


def _bound(metric: str, text: str) -> float:
    """Return a bound in the unit that results.json uses for the metric."""
    known = find_metric(metric)
    match known and known.dimension:
        case Dimension.TIME:
            requirement = f"{metric} should be compared with a time, such as 50ms"
            return parse_quantity(text, TIME_UNITS, requirement, default_unit="ms") / NS_PER_MS
        case Dimension.SIZE:
            requirement = f"{metric} should be compared with a size, such as 256MiB"
            return parse_quantity(text, SIZE_UNITS, requirement, default_unit="MiB") / MIB
        case Dimension.SHARE:
            return _share(metric, text)
        case dimension:
            return _number(metric, text, dimension or Dimension.COUNT)


def _share(metric: str, text: str) -> float:
    number = text.removesuffix("%").rstrip()
    if not re.fullmatch(_NUMBER, number):
        requirement = f"{metric} should be compared with a share, such as 99% or 0.99"
        raise invalid_value(f"{requirement}, not {display(text)}")
    if text.endswith("%"):
        return float(number) / 100
    if float(number) > 1:
        hint = f"did you mean '{number}%'?"
        raise invalid_value(f"{metric} is a share between 0 and 1, not {display(text)}", hint)
    return float(number)


def _number(metric: str, text: str, dimension: Dimension) -> float:
    if not re.fullmatch(_NUMBER, text):
        raise invalid_value(f"{metric} should be compared with {_NUMBER_OF[dimension]}, not {display(text)}")
    return float(text)
