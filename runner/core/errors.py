"""One tree of what can go wrong, so that a fault is caught by its meaning.

    LoadproofError             message (what, where) and hint (what to do)
    ├── UsageError             the command line asks for something impossible
    ├── SpecificationError     the YAML file is wrong; carries every problem
    ├── EnvironmentLacks       this machine lacks something: a command, a port, Docker
    │   ├── StackFailed        the system under test did not come up
    │   └── PublishFailed      a comment could not be put where it belongs
    ├── OutputError            results cannot be written: no permission, disk full
    └── StoredRunError         a run folder cannot be read: partial, newer, edited
        └── ArchiveDamaged     an archive is not what was written, or is made to do harm

Which exit code each one gets is decided in one place, `runner.cli.exit_codes`.
"""

from __future__ import annotations

from dataclasses import dataclass


class LoadproofError(Exception):
    """Anything a user can be told in one message, without a traceback.

    Args:
        message: What is wrong and where, one sentence without a trailing full stop.
        hint: What to do about it, or an empty string.
        details: Lines to show below, for example the last output of a process.
    """

    def __init__(self, message: str, *, hint: str = "", details: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details


class UsageError(LoadproofError):
    """The command line asks for something that cannot be done."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a specification, for machines; people read the rendered one.

    Attributes:
        line: In the file, from 1; None when a ``--set`` is at fault.
        column: In characters, from 1; None when a ``--set`` is at fault.
        path: Such as ``stages[0].rps``; empty when the file cannot be read that far.
        message: What is wrong, without a trailing full stop.
        hint: What to do, a sentence such as ``did you mean 'load'?``, or an empty string.
    """

    line: int | None
    column: int | None
    path: str
    message: str
    hint: str = ""


class SpecificationError(LoadproofError):
    """The specification is wrong.

    Args:
        message: A summary such as ``"spec.yaml: 3 problems"``.
        problems: Every problem, rendered with file, line, column, path and caret.
        positions: The same problems in the same order, for machines.
    """

    def __init__(
        self, message: str, *, problems: tuple[str, ...], positions: tuple[Problem, ...] = ()
    ) -> None:
        super().__init__(message, details=problems)
        self.problems = problems
        self.positions = positions


class EnvironmentLacks(LoadproofError):  # noqa: N818  (reads as the sentence it is)
    """This machine lacks something the experiment needs."""


class StackFailed(EnvironmentLacks):
    """The system under test did not come up; `details` hold its last output."""


class PublishFailed(EnvironmentLacks):
    """A comment could not be put on the pull request; no token is in any of this error's texts."""


class OutputError(LoadproofError):
    """Results cannot be written. What the journal already holds is kept."""


class StoredRunError(LoadproofError):
    """A stored run cannot be read."""


class ArchiveDamaged(StoredRunError):  # noqa: N818  (reads as the sentence it is)
    """An archive is damaged, was changed, or is made to do harm; nothing of it was used."""
