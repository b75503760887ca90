"""Reads specifications for the commands that take one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runner.cli.output import cannot_write, say
from runner.core.errors import SpecificationError, UsageError
from runner.experiment.load import read_spec
from runner.experiment.model import Experiment
from runner.store.bounded_read import MAX_SPEC, NotReadable, TooLarge, read_bounded
from runner.store.request_files import problem_with

if TYPE_CHECKING:  # many specifications have none
    from runner.experiment.variable import Variable
    from runner.experiment.variables import RowFacts, Use


class SpecFile(NamedTuple):
    """A specification: its bytes, their digest, and the experiment that they describe."""

    content: bytes
    sha256: str
    experiment: Experiment


def read_spec_file(path: Path, overrides: Sequence[str] = (), *, base_dir: Path | None = None) -> SpecFile:
    """Return the specification in a file.

    Args:
        path: Of the specification.
        overrides: ``path=value`` of every ``--set``.
        base_dir: Where the paths of files that requests send start; None for the specification's folder.

    Raises:
        UsageError: The file cannot be read.
        SpecificationError: Its content is invalid or too large.
    """
    try:
        content = read_bounded(path, MAX_SPEC, "a specification", may_be_pipe=True, on_wait=say)
    except TooLarge as error:
        raise SpecificationError(str(error), problems=()) from None
    except NotReadable as error:
        raise UsageError(str(error), hint="give the path of a YAML specification") from None
    try:
        return parse_spec(content, str(path), overrides, base_dir=base_dir or path.resolve().parent)
    except SpecificationError as error:
        from runner.cli.github_actions import annotate

        annotate(path, error, os.environ)
        raise


def _row_facts(variable: Variable, uses: frozenset[Use], folder: Path) -> RowFacts:
    from runner.store.data_files import row_facts  # (only specifications with rows pay for it)

    return row_facts(variable, uses, folder)


def parse_spec(
    content: bytes, source: str, overrides: Sequence[str] = (), *, base_dir: Path | None = None
) -> SpecFile:
    """Return the specification in a file's bytes.

    Args:
        content: The file, byte for byte.
        source: Its name, for messages.
        overrides: ``path=value`` of every ``--set``.
        base_dir: Where the paths of files that requests send start; None to leave the files alone.

    Raises:
        SpecificationError: The content is invalid.
    """
    file_problem = partial(problem_with, folder=base_dir) if base_dir else None
    read_rows = partial(_row_facts, folder=base_dir) if base_dir else None
    experiment = read_spec(
        content, source=source, overrides=overrides, file_problem=file_problem, read_rows=read_rows
    )
    return SpecFile(content, hashlib.sha256(content).hexdigest(), experiment)


def write_spec(out: Path, text: str) -> None:
    """Write a specification to a file that does not exist yet.

    Raises:
        UsageError: The file exists.
        OutputError: It cannot be written; no part of it remains.
    """
    try:
        with out.open("x", encoding="utf-8") as file:
            try:
                file.write(text)
                file.flush()
            except OSError:
                out.unlink(missing_ok=True)
                raise
    except FileExistsError:
        raise UsageError(f"{out} exists already", hint="choose another file with --out") from None
    except OSError as error:
        raise cannot_write(out, error) from None
