"""Output for GitHub Actions, written only when a command runs there; Gitea and Forgejo read the same."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from runner.cli.out_file import append_to_file
from runner.core.errors import SpecificationError
from runner.experiment.suggestions import harmless

_MAX_SUMMARY_BYTES: Final = 1024 * 1024


def annotate(file: Path, error: SpecificationError, environ: Mapping[str, str]) -> None:
    """Annotate every problem at its line of the specification; does nothing outside of Actions."""
    if environ.get("GITHUB_ACTIONS") != "true":
        return
    from runner.publish.annotations import workflow_errors

    for line in workflow_errors(_in_workspace(file, environ), error.positions):
        sys.stderr.write(f"{harmless(line)}\n")  # the only output that is meant as a command
        sys.stderr.flush()


def _in_workspace(file: Path, environ: Mapping[str, str]) -> str:
    """Return the path in the repository, by which annotations find a file from any working directory."""
    workspace = environ.get("GITHUB_WORKSPACE")
    if workspace and file.resolve().is_relative_to(Path(workspace).resolve()):
        return str(file.resolve().relative_to(Path(workspace).resolve()))
    return str(file)


def add_summary(text: str, environ: Mapping[str, str]) -> bool:
    """Append to the job's summary page, and return whether there is one with enough space.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions: 1 MiB per step.
    """
    path = environ.get("GITHUB_STEP_SUMMARY")
    if not path or len(text.encode()) > _MAX_SUMMARY_BYTES:
        return False
    try:
        append_to_file(Path(path), text.encode())
    except OSError:
        return False
    return True
