"""A process of `runner.serve.workshop`: runs functions of `runner.serve.jobs`, one after the other."""

from __future__ import annotations

import gc
import pickle
import resource
import signal
import sys
from typing import Final

from runner.core.errors import LoadproofError
from runner.serve import jobs
from runner.serve.job_pipe import JOB_CPU_S, LENGTH, loaded

_MAX_MEMORY_BYTES: Final = 1536 * 1024**2
_MAX_RESULT_BYTES: Final = 64 * 1024**2


def main() -> None:
    """Answer jobs until the server closes the pipe."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = _MAX_MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(hard, _MAX_MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    read, write = sys.stdin.buffer.read, sys.stdout.buffer.write
    while (job := loaded(read)) is not None:
        signal.setitimer(signal.ITIMER_PROF, JOB_CPU_S)  # the default action of its signal ends the process
        answer = pickle.dumps(_answer(*job))
        signal.setitimer(signal.ITIMER_PROF, 0)
        write(LENGTH.pack(len(answer)) + answer)
        sys.stdout.buffer.flush()
        del job, answer
        gc.collect()


def _answer(name: str, arguments: tuple[object, ...]) -> tuple[bool, object]:
    """Return whether there is a result, and it; else the arguments of `JobFailed`."""
    try:
        result = jobs.JOBS[name](*arguments)
    except LoadproofError as error:
        return False, (error.message, error.hint, error.details, type(error).__name__)
    except MemoryError:
        return False, ("it needs more memory than one run may take", "", (), "MemoryError")
    except Exception as error:  # noqa: BLE001  (data that no run wrote can raise anything)
        what = f"its data are not those of a run ({type(error).__name__})"
        return False, (what, "it was edited, or written by another program", (), type(error).__name__)
    if isinstance(result, str | bytes) and len(result) > _MAX_RESULT_BYTES:
        return False, ("its page is too large for a browser", "use runner report RUN", (), "")
    return True, result


if __name__ == "__main__":
    main()
