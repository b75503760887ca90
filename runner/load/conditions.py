"""Decides whether what a scenario asks of an extracted value holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from runner.core import regex
from runner.core.rows import text_of
from runner.load.checks import equal_json
from runner.load.scenario_order import Condition

Holds: TypeAlias = Callable[[Mapping[str, Any]], bool]
"""Returns whether something holds for the values of a user, by name."""


def all_hold(conditions: Sequence[Condition]) -> Holds:
    """Return what decides whether all conditions hold."""
    checks = [_check(condition) for condition in conditions]
    if len(checks) == 1:
        return checks[0]
    return lambda values: all(check(values) for check in checks)


def _check(condition: Condition) -> Holds:
    name = condition.name
    if not condition.exists:
        return lambda values: name not in values
    checks = list(_value_checks(condition))
    return lambda values: name in values and all(check(values[name]) for check in checks)


def _value_checks(condition: Condition) -> Sequence[Callable[[Any], bool]]:
    checks: list[Callable[[Any], bool]] = []
    if condition.values:
        checks.append(_one_of(condition.values, as_text=condition.as_text))
    if condition.min is not None or condition.max is not None:
        low = -math.inf if condition.min is None else condition.min
        high = math.inf if condition.max is None else condition.max
        checks.append(lambda value: low <= _number(value) <= high)
    if condition.matches:
        matches = regex.compiled(condition.matches)
        checks.append(lambda value: matches(text_of(value).encode()))
    return checks


def _one_of(expected: Sequence[Any], *, as_text: bool) -> Callable[[Any], bool]:
    if as_text:
        texts = frozenset(map(text_of, expected))
        return lambda value: text_of(value) in texts
    return lambda value: any(equal_json(value, one) for one in expected)


def _number(value: Any) -> float:
    """Return a value as a number, NaN if it is none."""
    if isinstance(value, bool):
        return math.nan
    if isinstance(value, int | float):
        return value
    try:
        return float(value) if isinstance(value, str) and value.isascii() else math.nan
    except ValueError:
        return math.nan
