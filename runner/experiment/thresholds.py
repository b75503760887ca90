"""Pass or fail: ``duration.p95 < 50ms`` as data.

A threshold is a metric, one of ``< <= > >= ==``, and a bound in the metric's own kind: a
time, a share (``99%`` or ``0.99``), a size, or a bare number of cores, requests or answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, Literal

from pydantic import ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from runner.core.facts import Role
from runner.core.units import NS_PER_MS
from runner.experiment.base_model import Part, complaint
from runner.experiment.quantities import MIB, SIZE_UNITS, TIME_UNITS, parse_quantity
from runner.experiment.suggestions import did_you_mean, either, shown

Dimension = Literal["time", "share", "size", "cores", "rate", "count"]

LATENCIES: Final = ("duration", "response_time", "connect", "dispatch_delay")
STATISTICS: Final = ("mean", "p50", "p90", "p95", "p99", "p999", "max")

_SHAPE: Final = re.compile(r"([^\s<>=!≤≥]{1,60})\s{0,9}([<>=!≤≥]{1,3}+)\s{0,9}(\S.{0,60})")
_OPERATORS: Final = ("<", "<=", ">", ">=", "==")
_MEANT_OPERATOR: Final = {"=": "==", "=<": "<=", "=>": ">=", "≤": "<=", "≥": ">=", "===": "=="}
_NUMBER: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_MEANT_STATISTIC: Final = {
    "avg": "mean", "average": "mean", "med": "p50", "median": "p50", "p99.9": "p999", "p100": "max",
}  # fmt: skip


def _known_metrics() -> Iterator[tuple[str, Dimension]]:
    yield from ((f"{latency}.{statistic}", "time") for latency in LATENCIES for statistic in STATISTICS)
    yield from (("actual_rps", "rate"), ("achieved", "share"), ("errors", "share"), ("dropped", "count"))
    for role in Role:
        for of in ("avg", "peak"):
            yield f"cpu.{role}.{of}", "cores"
            yield f"memory.{role}.{of}", "size"


METRICS: Final[dict[str, Dimension]] = dict(_known_metrics())
"""Every metric a threshold may name, and what its bound is measured in."""


class Threshold(Part):
    """One comparison of a metric with a bound, such as ``duration.p95 < 50ms``.

    `metric` is a dotted path such as ``duration.p95``, ``achieved``, ``errors``, ``cpu.app.avg``.
    `bound` is in the metric's unit in results.json: milliseconds, requests per second, cores,
    MiB, or a fraction (``99%`` is 0.99).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    expr: str = Field(description="As it was written.")
    metric: str = Field(description="A key of METRICS.")
    op: Literal["<", "<=", ">", ">=", "=="] = Field(description="How the metric is compared.")
    bound: float = Field(description="In the metric's unit in results.json.", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def read(cls, value: Any) -> Any:
        """The parts of an expression; fields given from Python pass unchanged."""
        if isinstance(value, str):
            return parse_threshold(value)
        if isinstance(value, dict) and {"expr", "metric", "op", "bound"} <= value.keys():
            return value
        raise complaint(f"should be text such as 'duration.p95 < 50ms', not {shown(value)}")

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """A threshold as a file has it: text."""
        metrics = "|".join(metric.replace(".", r"\.") for metric in METRICS)
        return {
            "type": "string",
            "title": "Threshold",
            "description": "A metric compared with a bound; exit code 99 when it fails.",
            "pattern": rf"^({metrics}) *(<|<=|>|>=|==) *[0-9].*$",
            "examples": ["duration.p95 < 50ms", "achieved >= 99%", "cpu.app.avg < 1.5"],
        }


def parse_threshold(text: str) -> dict[str, object]:
    """The fields of a `Threshold`.

    Raises:
        PydanticCustomError: Something in it is not known; says what, and the nearest that is.
    """
    matched = _SHAPE.fullmatch(text.strip())
    if matched is None:
        raise complaint(f"should be 'metric < bound', such as 'duration.p95 < 50ms', not {shown(text)}")
    metric, op, bound = matched.groups()
    if metric not in METRICS:
        raise complaint(f"unknown metric {shown(metric)}", _metric_hint(metric))
    if op not in _OPERATORS:
        hint = f"did you mean '{_MEANT_OPERATOR[op]}'?" if op in _MEANT_OPERATOR else ""
        raise complaint(f"unknown comparison '{op}'; it may be {either(_OPERATORS)}", hint)
    return {"expr": text.strip(), "metric": metric, "op": op, "bound": _bound(metric, bound.strip())}


def _metric_hint(metric: str) -> str:
    head, _, statistic = metric.partition(".")
    statistic = _MEANT_STATISTIC.get(statistic, statistic)
    if f"{head}.{statistic}" in METRICS:
        return f"did you mean '{head}.{statistic}'?"
    if head in LATENCIES and not statistic:
        return f"say which: {head}.{either(STATISTICS)}"
    if head in {"cpu", "memory"}:
        return _role_hint(head, statistic)
    return did_you_mean(metric, METRICS) or f"metrics are {_overview()}"


def _role_hint(head: str, rest: str) -> str:
    role, _, of = rest.partition(".")
    roles = [each.value for each in Role]
    if role not in roles:
        return did_you_mean(role, roles) or f"roles are {either(roles, 'and')}"
    return f"did you mean '{head}.{role}.{'peak' if of in {'max', 'peak'} else 'avg'}'?"


def _overview() -> str:
    return (
        f"{', '.join(f'{latency}.p95' for latency in LATENCIES)} (also {either(STATISTICS)}), "
        "actual_rps, achieved, errors, dropped, cpu.ROLE.avg, memory.ROLE.peak"
    )


def _bound(metric: str, text: str) -> float:
    """A bound in the unit that results.json has for the metric."""
    match METRICS[metric]:
        case "time":
            what = f"{metric} compared with a time, such as 50ms"
            return parse_quantity(text, TIME_UNITS, what, bare="ms") / NS_PER_MS
        case "size":
            what = f"{metric} compared with a size, such as 256MiB"
            return parse_quantity(text, SIZE_UNITS, what, bare="MiB") / MIB
        case "share":
            return _share(metric, text)
        case dimension:
            return _number(metric, text, dimension)


def _share(metric: str, text: str) -> float:
    number = text.removesuffix("%").rstrip()
    if not _NUMBER.fullmatch(number):
        raise complaint(f"should be {metric} compared with a share, such as 99% or 0.99, not {shown(text)}")
    if text.endswith("%"):
        return float(number) / 100
    if float(number) > 1:
        hint = f"did you mean '{number}%'?"
        raise complaint(f"{metric} is a share between 0 and 1, not {shown(text)}", hint)
    return float(number)


def _number(metric: str, text: str, dimension: Dimension) -> float:
    if not _NUMBER.fullmatch(text):
        unit = {"cores": "a number of cores, such as 1.5", "rate": "a rate a second, such as 3900"}
        what = unit.get(dimension, "a count, such as 0")
        raise complaint(f"should be {metric} compared with {what}, not {shown(text)}")
    return float(text)
