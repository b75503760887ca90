"""What the requests of a run need beside the specification, read before anything starts."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from dataclasses import replace as replace_fields
from itertools import chain
from pathlib import Path
from typing import Final, TypeVar

from msgspec.structs import replace

from runner.archive.inputs import MAX_KEPT
from runner.core.endpoint import Endpoint
from runner.core.errors import EnvironmentLacks, LoadproofError
from runner.core.facts import Event, VariableFacts
from runner.core.masking import mask_bytes, mask_lines, mask_secrets
from runner.core.secret_names import secrets_by_name
from runner.execution.row_command import Guarded
from runner.execution.row_inputs import RowKey, read_rows, row_key, row_source
from runner.experiment.model import Load, Request
from runner.experiment.topology import Topology
from runner.experiment.variable import Variable
from runner.experiment.variables import used as used_names
from runner.load.inputs import Constant, Inputs
from runner.load.request import pieces_of
from runner.stack.file_checks import check_files
from runner.store.data_files import DataFile
from runner.store.request_files import is_outside, place_problem, read_files

_ANY_ENDPOINT = Endpoint("localhost", 80)
_SHORTEST_TOKEN: Final = 8

ErrorType = TypeVar("ErrorType", bound=LoadproofError)


@dataclass(frozen=True, slots=True)
class RunInputs:
    """The secrets and files of a run.

    Attributes:
        secrets: Name of an environment variable to its value: those of the load, and those that are called
            like secrets, because commands inherit them.
        files: Path in the specification to content.
        data: Source of rows to the rows.
        with_secrets: Names of the small files and outputs that contain a secret.
        scripts: Path to content of what the commands of hooks name.
        extracted: Name to value of what hooks extracted for the stack that is up.
        learned: Those of them that are masked, of all stacks; it grows while the run goes on.
    """

    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    data: Mapping[RowKey, DataFile] = field(default_factory=dict, repr=False)
    with_secrets: tuple[str, ...] = ()
    scripts: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    extracted: Mapping[str, Constant] = field(default_factory=dict, repr=False)
    learned: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def masks(self) -> Mapping[str, str]:
        """Name to value of what is masked in every output."""
        return {**self.learned, **self.secrets}

    def with_extracted(self, values: Mapping[str, Constant]) -> RunInputs:
        """Return inputs with values that hooks extracted; from now on, long ones are masked."""
        self.learned.update(sensitive(values))
        return replace_fields(self, extracted=dict(values))

    def with_scripts(self, scripts: Mapping[str, bytes]) -> RunInputs:
        """Return inputs with the scripts of hooks."""
        found = tuple(name for name in _with_secrets(self.secrets, scripts, ()) if name not in self.files)
        return replace_fields(self, scripts=scripts, with_secrets=(*self.with_secrets, *found))

    def of_hooks(self, load: Load) -> Inputs:
        """Return what the hooks around a load need."""
        return Inputs({**self._constants(load), **self.extracted}, self.files)

    def of(self, load: Load) -> Inputs:
        """Return what the requests of a load need."""
        used = used_names(load.parts)
        values = self._constants(load) | {
            name: value for name, value in self.extracted.items() if name in used
        }
        files = {path: self.files[path] for part in load.parts for path in part.files}
        rows = {
            name: row_source(self.data[row_key(variable)])
            for name, variable in load.variables.items()
            if variable.row_format
        }
        return Inputs(values, files, rows)

    def _constants(self, load: Load) -> dict[str, Constant]:
        return {
            name: self.secrets.get(variable.env, variable.default or "")
            for name, variable in load.variables.items()
            if variable.env is not None
        }

    def variables(self, load: Load) -> tuple[VariableFacts, ...]:
        """Return where the values of a load's variables come from."""
        return tuple(self._variable(name, variable) for name, variable in load.variables.items())

    def _variable(self, name: str, variable: Variable) -> VariableFacts:
        if not variable.row_format:
            return VariableFacts(name, variable.source)
        return VariableFacts(
            name,
            variable.source,
            source=self.masked(variable.path or shlex.join(variable.command or ())),
            order=variable.order or "sequential",
            rows=self.data[row_key(variable)].rows,
        )

    @contextmanager
    def unchanged(self, load: Load) -> Iterator[None]:
        """Raise EnvironmentLacks if a file with rows of a load is not, before or after, what it was."""
        self._check_unchanged(load)
        try:
            yield
        except (EnvironmentLacks, ExceptionGroup):  # a worker that finds another file does not start
            self._check_unchanged(load)
            raise
        self._check_unchanged(load)

    def _check_unchanged(self, load: Load) -> None:
        for name, variable in load.variables.items():
            if variable.row_format and self.data[row_key(variable)].has_changed:
                raise EnvironmentLacks(
                    f"load.variables.{name}: {variable.path} has changed since the run started",
                    hint="run again when nothing writes the file: the requests of this run are not all known",
                )

    def masked(self, text: str) -> str:
        """Return a text with the names of the secrets in place of their values."""
        return mask_secrets(text, self.masks)

    def masked_log(self, log: bytes) -> bytes:
        """Return a program's output without secrets."""
        return mask_bytes(log, self.masks)

    def masked_lines(self, lines: Sequence[str]) -> tuple[str, ...]:
        """Return lines without secrets, also without those that go over several of them."""
        return mask_lines(lines, self.masks)

    def masked_event(self, event: Event) -> Event:
        """Return an event without secrets."""
        return replace(event, message=self.masked(event.message), log=self.masked_lines(event.log))

    def masked_error(self, error: LoadproofError) -> LoadproofError:
        """Return an error after the secrets in its texts were masked."""
        return masked_error(error, self.masks)


def masked_error(error: ErrorType, secrets: Mapping[str, str]) -> ErrorType:
    """Return an error after secrets in its texts were masked.

    Args:
        error: It is changed.
        secrets: Name to value of what is masked.
    """
    if secrets:
        error.message, error.hint = mask_secrets(error.message, secrets), mask_secrets(error.hint, secrets)
        error.details = mask_lines(error.details, secrets)
        error.args = (error.message,)
    return error


def sensitive(values: Mapping[str, Constant]) -> dict[str, str]:
    """Return the values that are long enough to be a token, and are therefore masked in every output."""
    return {
        name: value
        for name, value in values.items()
        if isinstance(value, str) and len(value) >= _SHORTEST_TOKEN
    }


NO_RUN_INPUTS = RunInputs()


def read_inputs(
    loads: Iterable[Load],
    base_dir: Path,
    environ: Mapping[str, str] = os.environ,
    guarded: Guarded | None = None,
    requests: Iterable[Request] = (),
    topologies: Iterable[Topology] = (),
) -> RunInputs:
    """Return what the requests of these loads need, and the files that describe these systems. Blocks.

    Args:
        loads: Of the trials to run.
        base_dir: Where the paths of files start.
        environ: The runner's own environment.
        guarded: Ends the commands of variables when the runner is killed.
        requests: Of hooks, whose files are read as well.
        topologies: Of the trials.

    Raises:
        EnvironmentLacks: A variable is not set, a file cannot be read, or a value cannot be sent.
    """
    kept = list({id(load): load for load in loads}.values())
    secrets = secrets_by_name(environ) | _secrets(kept, environ)
    try:
        inputs = _read_inputs(kept, base_dir, secrets, guarded, requests)
        return _with_topologies(inputs, list(topologies), base_dir)
    except LoadproofError as error:
        raise RunInputs(secrets).masked_error(error) from None


def _read_inputs(
    kept: Sequence[Load],
    base_dir: Path,
    secrets: Mapping[str, str],
    guarded: Guarded | None,
    requests: Iterable[Request],
) -> RunInputs:
    paths = [path for load in kept for part in load.parts for path in part.files]
    paths += [path for request in requests for path in request.files]
    files, data = read_files(paths, base_dir), read_rows(kept, base_dir, guarded, secrets)
    inputs = RunInputs(secrets, files, data, tuple(_with_secrets(secrets, files, data.values())))
    for load in kept:
        for part in load.parts:
            pieces_of(part, _ANY_ENDPOINT, load.connection, inputs.of(load))
    return inputs


def _with_topologies(inputs: RunInputs, topologies: Sequence[Topology], base_dir: Path) -> RunInputs:
    """Return inputs with the files that describe the systems; those with values of variables are not kept."""
    for topology in topologies:
        check_files(topology, base_dir)
    keys = {path: key for one in topologies for path, key in one.file_keys.items()}
    described = read_files(chain.from_iterable(one.input_files for one in topologies), base_dir, keys)
    present = {path for one in topologies for path in one.private_files if not place_problem(path, base_dir)}
    private = read_files(sorted(present), base_dir, keys)
    with_secrets = {*_with_secrets(inputs.secrets, described, ()), *private, *inputs.with_secrets}
    return replace_fields(
        inputs, files={**inputs.files, **described, **private}, with_secrets=tuple(sorted(with_secrets))
    )


def topology_files_outside(topologies: Iterable[Topology], base_dir: Path) -> tuple[str, ...]:
    """Return the paths of files that describe these systems and that are outside a folder."""
    paths = {path for one in topologies for path in (*one.input_files, *one.private_files)}
    exist = (path for path in sorted(paths) if not place_problem(path, base_dir))
    return tuple(path for path in exist if is_outside(path, base_dir))


def files_outside(loads: Iterable[Load], base_dir: Path, requests: Iterable[Request] = ()) -> tuple[str, ...]:
    """Return the paths of files that requests of these loads send and that are outside a folder.

    Args:
        loads: Of the trials to run.
        base_dir: The folder, where relative paths start.
        requests: Of hooks.
    """
    kept = list({id(load): load for load in loads}.values())
    paths = {path for load in kept for part in load.parts for path in part.files}
    paths |= {path for request in requests for path in request.files}
    paths |= {variable.path for load in kept for variable in load.variables.values() if variable.path}
    return tuple(sorted(path for path in paths if is_outside(path, base_dir)))


def _with_secrets(
    secrets: Mapping[str, str], files: Mapping[str, bytes], data: Iterable[DataFile]
) -> Iterator[str]:
    """Yield the names of files and outputs that are small enough to be kept, but contain a secret."""
    if not secrets:
        return
    small = {name: content for name, content in files.items() if len(content) < MAX_KEPT}
    small |= {one.name: one.content() for one in data if one.size < MAX_KEPT}
    yield from sorted(name for name, content in small.items() if mask_bytes(content, secrets) != content)


def _secrets(loads: Iterable[Load], environ: Mapping[str, str]) -> dict[str, str]:
    variables = [variable for load in loads for variable in load.variables.values()]
    wanted = {variable.env: variable.default for variable in variables if variable.env is not None}
    for variable in variables:  # one without a default needs the variable
        if variable.env is not None and variable.default is None:
            wanted[variable.env] = None
    if missing := [name for name, default in wanted.items() if default is None and name not in environ]:
        verb = "are" if len(missing) > 1 else "is"
        raise EnvironmentLacks(
            f"load.variables: {', '.join(missing)} {verb} not set in the environment",
            hint=f"run `export {missing[0]}=...` first",
        )
    given = [name for name in wanted if name in environ]
    for name in given:
        if not environ[name].isascii() and not _is_text(environ[name]):
            raise EnvironmentLacks(
                f"load.variables: the value of {name} is not UTF-8 text", hint="set it to text"
            )
    return {name: environ[name] for name in given}


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # bytes of the environment that are no UTF-8
        return False
    return True
