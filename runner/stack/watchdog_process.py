"""The process that outlives a killed runner just long enough to clean up after it.

Its stdin is a pipe whose other end only the runner holds: when that closes, for whatever
reason, it ends the rest of the run.

python -m runner.stack.watchdog_process RUN_ID [RECORD GROUP]
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from runner.stack.reaper import end
from runner.stack.run_record import conclude, read_messages

READY: Final = b"ready\n"

_GRACE_S: Final = 1.0
_IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def main() -> None:
    """Wait until the runner has ended, then remove what it left behind."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    run_id, *places = sys.argv[1:]
    record, group = (Path(place) if place else None for place in (*places, "", "")[:2])
    os.write(sys.stdout.fileno(), READY)
    roots, engines = read_messages(sys.stdin.buffer)
    if end(run_id, roots, grace_s=_GRACE_S, group=group):
        conclude(record, group)
    for base_url in engines:
        _empty_engine(base_url, run_id)


def _empty_engine(base_url: str, run_id: str) -> None:
    with suppress(Exception):  # the runner has ended: there is nowhere to report to
        importlib.import_module("runner.stack.watchdog_docker").remove_all(base_url, run_id)


if __name__ == "__main__":
    main()
