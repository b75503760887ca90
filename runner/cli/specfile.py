"""Reads a specification from disk for the commands that take one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.cli.github_actions import annotate
from runner.core.errors import SpecificationError, UsageError
from runner.experiment.load import read_spec
from runner.experiment.model import Experiment


@dataclass(frozen=True, slots=True)
class SpecFile:
    """A specification as read: its bytes, their digest, and what they mean."""

    path: Path
    content: bytes
    sha256: str
    experiment: Experiment


def read_spec_file(path: Path, overrides: Sequence[str] = ()) -> SpecFile:
    """The specification in a file.

    Raises:
        UsageError: The file cannot be read.
        SpecificationError: Its content is wrong.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}", hint="give the path of a YAML specification"
        ) from None
    try:
        experiment = read_spec(content, source=str(path), overrides=overrides)
    except SpecificationError as error:
        annotate(path, error, os.environ)
        raise
    return SpecFile(path, content, hashlib.sha256(content).hexdigest(), experiment)
