"""The process that outlives a killed runner just long enough to clean up after it.

Its stdin is a pipe whose other end only the runner holds: when that closes, for whatever
reason, it ends the rest of the run. Run as ``python -m runner.stack.watchdog_process ID``.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from contextlib import suppress
from typing import BinaryIO, Final

from runner.stack.reaper import end

READY: Final = b"ready\n"

_GRACE_S: Final = 1.0
_IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def main() -> None:
    """Wait until the runner has ended, then remove what it left behind."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    run_id = sys.argv[1]
    os.write(sys.stdout.fileno(), READY)
    roots, engines = _read_messages(sys.stdin.buffer)
    end(run_id, roots, grace_s=_GRACE_S)
    for base_url in engines:
        _empty_engine(base_url, run_id)


def _read_messages(pipe: BinaryIO) -> tuple[dict[int, int], set[str]]:
    """Read the runner's messages until the pipe closes.

    Returns:
        Pid to start time of the processes to end, and the Docker Engines to empty.
    """
    roots: dict[int, int] = {}
    engines: set[str] = set()
    for line in pipe:
        match json.loads(line):
            case {"process": [int(pid), int(started)]}:
                roots[pid] = started
            case {"forget": int(pid)}:
                roots.pop(pid, None)
            case {"docker": str(base_url)}:
                engines.add(base_url)
            case {"docker_emptied": str(base_url)}:
                engines.discard(base_url)
    return roots, engines


def _empty_engine(base_url: str, run_id: str) -> None:
    with suppress(Exception):  # the runner has ended: there is nowhere to report to
        importlib.import_module("runner.stack.watchdog_docker").remove_all(base_url, run_id)


if __name__ == "__main__":
    main()
