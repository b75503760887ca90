"""Every way that the program ends, and its exit code."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NoReturn

import click

from runner.cli.output import lost_output, say
from runner.cli.resource_faults import path_fault, resource_fault
from runner.core.errors import (
    ArchiveDamaged,
    EnvironmentLacks,
    InternalError,
    Interrupted,
    LoadproofError,
    OutputError,
    SpecificationError,
    StoredRunError,
    UsageError,
)

DONE: Final = 0
BUG: Final = 1
USAGE: Final = 2
ENVIRONMENT: Final = 3
INVALID_STAGE: Final = 4
THRESHOLD_FAILED: Final = 99
SPECIFICATION: Final = 104

_CODES: Final[dict[type[LoadproofError], int]] = {
    UsageError: USAGE,
    SpecificationError: SPECIFICATION,
    EnvironmentLacks: ENVIRONMENT,
    OutputError: ENVIRONMENT,
    StoredRunError: USAGE,
    ArchiveDamaged: SPECIFICATION,
    InternalError: BUG,
}


def code_for(error: LoadproofError) -> int:
    """Return the exit code of an error, by its nearest class that has one."""
    return next(_CODES[kind] for kind in type(error).__mro__ if kind in _CODES)


def show_error(error: LoadproofError) -> None:
    """Print on stderr what is wrong and what to do."""
    say(error.message, label="error:", colour="red")
    for line in _details(error):
        say(line)
    if error.hint:
        say(error.hint, label="hint:", colour="cyan")


def _details(error: LoadproofError) -> Iterator[str]:
    if isinstance(error, SpecificationError):
        for problem in error.problems:
            yield from problem.split("\n")  # place, text and caret
    else:
        yield from (f"  {line}" for line in error.details)


def exit_code_of(app: Callable[..., Any], arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    The user never sees a traceback: that of a bug is written to a file, whose name is printed.

    Args:
        app: A click command.
        arguments: The words of the command line; None for those of this process.
    """
    code = _run(app, arguments)
    lost = lost_output()
    if lost and code == DONE:
        show_error(lost)
        return code_for(lost)
    return code


def _run(app: Callable[..., Any], arguments: Sequence[str] | None) -> int:
    try:
        result = app(args=arguments, prog_name="runner", standalone_mode=False)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        _show_usage(error)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        die_of(signal.SIGINT)
    except Interrupted as error:
        say(error.message)
        die_of(signal.Signals(error.number))
    except LoadproofError as error:
        show_error(error)
        return code_for(error)
    except Exception as error:  # noqa: BLE001  (the last line of defence)
        return _report_fault(error)
    return result if isinstance(result, int) else DONE


def _show_usage(error: click.ClickException) -> None:
    """Print click's own message, which repeats words of the command line."""
    text = io.StringIO()
    error.show(text)
    say(*text.getvalue().removesuffix("\n").split("\n"))


def die_of(number: signal.Signals) -> NoReturn:
    """End by the signal itself, so that the shell reports 128 + its number."""
    sys.stdout.flush()
    sys.stderr.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    raise SystemExit(128 + number)


def _report_fault(error: Exception) -> int:
    """Print what this machine lacks, or that this is a bug, and return the exit code."""
    fault = resource_fault(error) or path_fault(error) or _bug(error)
    show_error(fault)
    return code_for(fault)


def _bug(error: Exception) -> InternalError:
    import tempfile
    import traceback

    what = f"this is a bug in Loadproof: {type(error).__name__}: {error}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="loadproof-bug-", suffix=".txt", delete=False, encoding="utf-8", errors="replace"
        ) as file:
            file.write("".join(traceback.format_exception(error)))
    except OSError:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return InternalError(
            what, hint=f"please report it: {frame.filename}, line {frame.lineno}, in {frame.name}"
        )
    return InternalError(what, hint=f"please report it with the file {file.name}")
