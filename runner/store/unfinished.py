"""Whether the results in a folder are those of its run: not while that goes on again, nor if it was killed.

A run that is resumed keeps the results of before until it ends. Everything that reads results asks here, so
that no command takes them for the run's.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import msgspec
from msgspec import Struct

from runner.core.errors import StoredRunError
from runner.experiment.suggestions import harmless
from runner.store.bounded_read import MAX_RUN_FILE, NotReadable, read_bounded
from runner.store.run_names import RESULTS, RUN


class _Run(Struct, frozen=True):
    status: str
    finished_at: str | None
    resumed_at: tuple[str, ...] = ()


class _RunFile(Struct, frozen=True):
    run: _Run


def is_unfinished(folder: Path) -> bool:
    """Return whether the run in a folder goes on or was killed, also if it has results from before that.

    The answer is no where `RUN` is missing or damaged: what is said of results then depends on them alone.
    """
    run = _run(folder)
    return run is not None and (run.finished_at is None or run.status == "unfinished")


def _run(folder: Path) -> _Run | None:
    try:
        content = read_bounded(folder / RUN, MAX_RUN_FILE, "a run file")
        return msgspec.json.decode(content, type=_RunFile).run
    except (NotReadable, ValueError, RecursionError):
        return None


def has_results(folder: Path) -> bool:
    """Return whether a run's folder has results, and they are those of the run."""
    return (folder / RESULTS).exists() and not is_unfinished(folder)


def unfinished(folder: Path) -> StoredRunError:
    """Return the error for a run without results, or with those of before it was resumed."""
    from runner.store.live_file import is_in_progress, read_beginning  # noqa: PLC0415  (only for errors)

    beginning = read_beginning(folder)
    goes_on = beginning is not None and is_in_progress(beginning, folder)
    run = _run(folder)
    is_resumed = run is not None and bool(run.resumed_at)
    state = "is in progress" if goes_on else "was resumed and never ended" if is_resumed else "never ended"
    lacks = f"there is no {RESULTS}"
    if (folder / RESULTS).exists():
        lacks = f"its {RESULTS} is of before {'it was resumed' if is_resumed else 'its end'}"
    path = harmless(shlex.quote(str(folder)))
    todo = "wait until it ends" if goes_on else f"`runner execute --resume {path}` continues it"
    return StoredRunError(
        f"the run in {folder} {state}: {lacks}",
        hint=f"{todo}; `runner report {path}` shows what its journal contains",
    )
