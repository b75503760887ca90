"""The exceptions of this program, so that a fault is caught by its meaning.

    LoadproofError             message (what, where) and hint (what to do)
    ├── UsageError             the command line requests something impossible
    ├── SpecificationError     the YAML file is wrong; carries every problem
    ├── EnvironmentLacks       this machine lacks something: a command, a port, Docker
    │   ├── StackFailed        the system under test did not come up
    │   ├── HookFailed         a hook before the load failed
    │   ├── PreflightFailed    the first response does not pass the specification's checks
    │   └── PublishFailed      a comment could not be posted
    ├── OutputError            results cannot be written: no permission, disk full
    ├── StoredRunError         a run folder cannot be read: partial, newer, edited
    │   └── ArchiveDamaged     an archive is damaged, was changed, or is malicious
    ├── Interrupted            a signal ended it before it had results
    └── InternalError          a bug in Loadproof that leaves the measured data intact

`runner.cli.exit_codes` assigns the exit codes.
"""

from __future__ import annotations

from typing import NamedTuple

from runner.core.signals import signal_name


class LoadproofError(Exception):
    """A fault that is reported to the user as one message, without a traceback.

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

    @property
    def whole(self) -> str:
        """Message, details and hint, a line each."""
        return "\n".join(filter(None, (self.message, *self.details, self.hint)))


class UsageError(LoadproofError):
    """The command line requests something that cannot be done."""


class Problem(NamedTuple):
    """One thing that is wrong in a specification, for programs; people read the rendered one.

    Attributes:
        line: In the file, from 1; None when a ``--set`` caused it.
        column: In characters, from 1; None when a ``--set`` caused it.
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


class PreflightFailed(EnvironmentLacks):
    """The response to the first request does not pass the specification's checks; no load was offered."""


class HookFailed(EnvironmentLacks):
    """A hook of `setup` or `before_trial` failed; `details` hold its last lines."""


class PublishFailed(EnvironmentLacks):
    """A comment could not be posted on the pull request; no text of this error contains a token."""


class OutputError(LoadproofError):
    """Results cannot be written. The content of the journal is kept."""


class StoredRunError(LoadproofError):
    """A stored run cannot be read."""


class ArchiveDamaged(StoredRunError):  # noqa: N818  (reads as the sentence it is)
    """An archive is damaged, was changed, or is malicious; nothing of it was used."""


class ForeignArchive(ArchiveDamaged):
    """Another program packed it: it has none of the files of a run."""


class Interrupted(LoadproofError):  # noqa: N818  (reads as the sentence it is)
    """A signal ended it before it had results; what it had started is removed.

    Args:
        number: The signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"{signal_name(number)}: ended what was started, before there were any results")
        self.number = number


class InternalError(LoadproofError):
    """A bug in Loadproof; the measured data are on disk."""
