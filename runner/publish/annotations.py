"""Workflow commands of GitHub Actions: ``::error file=...`` shows a message at its line.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions; the escapes are those of
actions/toolkit (packages/core/src/command.ts). Gitea and Forgejo read the same commands.
"""

from __future__ import annotations

from collections.abc import Sequence

from runner.core.errors import Problem


def workflow_errors(file: str, problems: Sequence[Problem]) -> list[str]:
    """Return one line per problem, each to be printed alone."""
    return [_error(file, problem) for problem in problems]


def _error(file: str, problem: Problem) -> str:
    properties = {
        "file": file,
        "line": problem.line,
        "col": problem.column,
        "title": "Specification" + (f": {problem.path}" if problem.path else ""),
    }
    shown = ",".join(
        f"{name}={_property(str(value))}" for name, value in properties.items() if value is not None
    )
    message = problem.message + (f" ({problem.hint})" if problem.hint else "")
    return f"::error {shown}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
