"""Every way that the program ends, and its exit code."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NoReturn

import click

from runner.core.errors import (
    ArchiveDamaged,
    EnvironmentLacks,
    InternalError,
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
    _say(f"{click.style('error:', fg='red', bold=True)} {error.message}")
    for line in error.details:
        _say(f"  {line}" if not isinstance(error, SpecificationError) else line)
    if error.hint:
        _say(f"{click.style('hint:', fg='cyan')} {error.hint}")


def _say(line: str) -> None:
    """Print on stderr, in colour on a terminal unless NO_COLOR is set (no-color.org)."""
    with suppress(BrokenPipeError):
        click.echo(line, err=True, color=False if os.environ.get("NO_COLOR") else None)


def exit_code_of(app: Callable[..., Any], arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    The user never sees a traceback: that of a bug is written to a file, whose name is printed.

    Args:
        app: A click command.
        arguments: The words of the command line; None for those of this process.
    """
    try:
        result = app(args=arguments, prog_name="runner", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        die_of(signal.SIGINT)
    except LoadproofError as error:
        show_error(error)
        return code_for(error)
    except (BrokenPipeError, SystemExit) as ended:
        if isinstance(ended, SystemExit) and ended.code != BUG:
            raise
        return _reader_left()  # click itself exits with 1 on a broken pipe
    except Exception as error:  # noqa: BLE001  (the last line of defence)
        return _report_bug(error)
    return result if isinstance(result, int) else DONE


def _reader_left() -> int:
    """Return success: a reader that closes the pipe early, such as `head`, has all it wants."""
    from runner.cli.output import discard

    discard(sys.stdout)
    return DONE


def die_of(number: signal.Signals) -> NoReturn:
    """End by the signal itself, so that the shell reports 128 + its number."""
    sys.stdout.flush()
    sys.stderr.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    raise SystemExit(128 + number)


def _report_bug(error: Exception) -> int:
    with tempfile.NamedTemporaryFile(
        "w", prefix="loadproof-bug-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write("".join(traceback.format_exception(error)))
    click.echo(f"error: this is a bug in Loadproof: {type(error).__name__}: {error}", err=True)
    click.echo(f"hint: please report it with the file {file.name}", err=True)
    return BUG
