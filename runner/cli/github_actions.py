"""What GitHub Actions reads from a command's output, when it runs there; Gitea and Forgejo read the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from runner.core.errors import SpecificationError

_SUMMARY_BYTES: Final = 1024 * 1024


def annotate(file: Path, error: SpecificationError, environ: Mapping[str, str]) -> None:
    """Put every problem beside its line of the specification; nothing outside of Actions."""
    if environ.get("GITHUB_ACTIONS") != "true":
        return
    from runner.publish.annotations import workflow_errors

    for line in workflow_errors(_in_workspace(file, environ), error.positions):
        click.echo(line, err=True, color=False)


def _in_workspace(file: Path, environ: Mapping[str, str]) -> str:
    """Annotations find a file by its path in the repository, wherever the command was run."""
    workspace = environ.get("GITHUB_WORKSPACE")
    if workspace and file.resolve().is_relative_to(Path(workspace).resolve()):
        return str(file.resolve().relative_to(Path(workspace).resolve()))
    return str(file)


def add_summary(text: str, environ: Mapping[str, str]) -> bool:
    """Append to the job's summary page; False when there is none, or no room for it.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions: 1 MiB a step.
    """
    path = environ.get("GITHUB_STEP_SUMMARY")
    if not path or len(text.encode()) > _SUMMARY_BYTES:
        return False
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        return False
    return True
