"""From a load's variables to what a worker needs to compute their values."""

from __future__ import annotations

from runner.core import draws
from runner.experiment.variable import Variable
from runner.load.engine import LoadOrder
from runner.load.values import (
    FLOAT_STEPS,
    ChoiceValues,
    CounterValues,
    FloatValues,
    GeneratedValues,
    IntValues,
    RowValues,
    TextValues,
    TimestampValues,
    UuidValues,
    WorkerVariable,
)


def worker_variables(order: LoadOrder) -> dict[str, WorkerVariable]:
    """Return name to values of the variables that differ by arrival."""
    first, seed = order.numbering.arrivals, order.load.seed
    return {
        name: _rows(name, order)
        if variable.row_format
        else _generated(variable, draws.key(seed, name), first)
        for name, variable in order.load.variables.items()
        if not variable.is_secret
    }


def _rows(name: str, order: LoadOrder) -> RowValues:
    source, numbering = order.inputs.rows[name], order.numbering
    is_counted = order.load.variables[name].is_counted
    return RowValues(
        format=source.format,
        delimiter=source.delimiter,
        columns=source.columns,
        path=source.path,
        size=source.size,
        index=source.index,
        rows=source.rows,
        first=numbering.rows.get(name, 0) if is_counted else numbering.arrivals,
        key=None if is_counted else draws.key(order.load.seed, name),
    )


def _generated(variable: Variable, key: int, first: int) -> GeneratedValues:
    if variable.counter is not None:
        return CounterValues(variable.counter.start + variable.counter.step * first, variable.counter.step)
    if variable.timestamp is not None:
        return TimestampValues(variable.timestamp)
    if variable.uuid is not None:
        return UuidValues(key, first)
    if variable.string is not None:
        return TextValues(key, first, variable.string.length, variable.string.alphabet)
    return _number(variable, key, first) or _choice(variable, key, first)


def _number(variable: Variable, key: int, first: int) -> IntValues | FloatValues | None:
    if variable.int_range is not None:
        low, high = variable.int_range
        return IntValues(key, first, low, high - low + 1)
    if variable.float_range is not None:
        low, high = (round(bound * FLOAT_STEPS) for bound in variable.float_range)
        return FloatValues(key, first, low, high - low + 1)
    return None


def _choice(variable: Variable, key: int, first: int) -> ChoiceValues:
    if isinstance(variable.choice, dict):
        return ChoiceValues(key, first, tuple(variable.choice), tuple(map(float, variable.choice.values())))
    values = tuple(float(value) if isinstance(value, float) else value for value in variable.choice)
    return ChoiceValues(key, first, values)
