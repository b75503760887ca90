"""Workflow commands of GitHub Actions: ``::error file=...`` puts a message beside the line it is about.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions; the escapes are those of
actions/toolkit (packages/core/src/command.ts). Gitea and Forgejo read the same commands.
"""

from __future__ import annotations

from collections.abc import Sequence

from runner.core.errors import Problem


def workflow_errors(file: str, problems: Sequence[Problem]) -> list[str]:
    """A line for every problem, to be printed by itself."""
    return [_error(file, problem) for problem in problems]


def _error(file: str, problem: Problem) -> str:
    places = {
        "file": file,
        "line": problem.line,
        "col": problem.column,
        "title": "Specification" + (f": {problem.path}" if problem.path else ""),
    }
    properties = ",".join(
        f"{name}={_property(str(value))}" for name, value in places.items() if value is not None
    )
    message = problem.message + (f" ({problem.hint})" if problem.hint else "")
    return f"::error {properties}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
