"""The rows of a run's variables: data files are found again and checked, commands are run once."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from runner.core.errors import EnvironmentLacks
from runner.execution.row_command import Guarded, command_output
from runner.experiment.model import Load
from runner.experiment.row_limits import MORE_ROWS, too_few
from runner.experiment.trials import Trial
from runner.experiment.variable import Variable
from runner.experiment.variables import Use, uses
from runner.load.inputs import RowSource
from runner.store.data_files import DataFile, output_file, variable_rows
from runner.store.row_reader import DataProblem

RowKey: TypeAlias = tuple[str | tuple[str, ...], str, str]
"""A file or a command, the format, and the delimiter."""


def row_key(variable: Variable) -> RowKey:
    """Return what is equal for variables with the same rows."""
    return variable.path or variable.command or (), variable.row_format or "", variable.delimiter or ","


def row_source(data: DataFile) -> RowSource:
    """Return rows as an engine needs them."""
    return RowSource(
        data.format, data.delimiter, data.columns, str(data.path), data.size, data.index, data.rows, data
    )


def read_rows(
    loads: Iterable[Load],
    folder: Path,
    guarded: Guarded | None = None,
    secrets: Mapping[str, str] = MappingProxyType({}),
) -> dict[RowKey, DataFile]:
    """Return the rows of all variables. Blocks.

    Args:
        loads: Of the trials to run.
        folder: The specification's.
        guarded: Ends commands when the runner is killed.
        secrets: Name to value of what is masked in what a command that failed printed.

    Raises:
        EnvironmentLacks: A file or a command has no rows that can be sent.
    """
    outputs: dict[tuple[str, ...], int] = {}
    try:
        return _read_rows(loads, folder, outputs, guarded, secrets)
    finally:
        for output in outputs.values():
            os.close(output)


def _read_rows(
    loads: Iterable[Load],
    folder: Path,
    outputs: dict[tuple[str, ...], int],
    guarded: Guarded | None,
    secrets: Mapping[str, str],
) -> dict[RowKey, DataFile]:
    found: dict[RowKey, DataFile] = {}
    for load in loads:
        used = uses(load.parts)
        for name, variable in load.variables.items():
            if not variable.row_format:
                continue
            if variable.command and variable.command not in outputs:
                command = variable.command
                outputs[command] = command_output(name, command, folder, guarded, secrets)
            try:
                data = _rows(variable, folder, used.get(name, frozenset()), outputs)
            except DataProblem as problem:
                raise EnvironmentLacks(
                    f"load.variables.{name}: {problem.message}", hint=problem.hint
                ) from None
            found.setdefault(row_key(variable), data)
    return found


def check_row_counts(trials: Iterable[Trial], repeats: int, data: Mapping[RowKey, DataFile]) -> None:
    """Raise EnvironmentLacks if a variable with `order: once` has too few rows.

    Args:
        trials: Of the run.
        repeats: Of the experiment.
        data: The rows.
    """
    configurations = {trial.configuration.name: trial.configuration for trial in trials}
    for configuration in configurations.values():
        load = configuration.load
        for name, variable in load.variables.items():
            if variable.needs_each_row_once:
                rows = data[row_key(variable)].rows
                if message := too_few(load, name, configuration.stages, repeats, rows):
                    raise EnvironmentLacks(f"load.variables.{name}: {message}", hint=MORE_ROWS)


def _rows(
    variable: Variable, folder: Path, used: frozenset[Use], outputs: dict[tuple[str, ...], int]
) -> DataFile:
    if not variable.command:
        return variable_rows(variable, folder, used)
    assert variable.row_format
    name = f"the output of `{shlex.join(variable.command)}`"
    return output_file(outputs[variable.command], name, variable.row_format, variable.delimiter or ",", used)
