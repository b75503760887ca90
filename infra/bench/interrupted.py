"""How soon a run ends that is interrupted while thousands of users pause, report and archive included."""

from __future__ import annotations

import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

Row = tuple[str, str, str, bool]
USERS: Final = (10_000, 12_000)
WANTED_S: Final = 2.0
_TIMES: Final = 3
_STARTED_WITHIN_S: Final = 9.8
"""The progress of a run is shown every 10 s."""
_GIVEN_UP_S: Final = 60
_UNDER_WAY: Final = " users under way"
_WAIT: Final = {
    "name": "wait",
    "steps": [
        {"request": {"name": "login", "method": "POST", "path": "/login", "form": {"user": "guest"}}},
        {"pause": "300s"},
        {"request": {"name": "item", "path": "/item/17"}},
    ],
}


def interrupted(port: int) -> Iterator[Row]:
    """Yield figure, measured, wanted, kept for each number of users; a server listens on the port."""
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a job in a shell's background inherits "ignore"
    for users in USERS:
        took: list[tuple[float, float]] = []
        for number in range(_TIMES):
            print(f"interrupted, {users:,} users, {number + 1}/{_TIMES}", file=sys.stderr, flush=True)
            took.append(_once(port, users))
        wall_s, cpu_s = (statistics.median(values) for values in zip(*took, strict=True))
        measured = f"{wall_s:.2f} s; {cpu_s:.2f} s of CPU for the whole run"
        figure = f"SIGINT with {users:,} users in pauses until the process has ended, median of {_TIMES}"
        yield figure, measured, f"<= {WANTED_S:.0f} s", wall_s <= WANTED_S


def _once(port: int, users: int) -> tuple[float, float]:
    """Return the time from the signal to the end of the process, and the CPU time of the run."""
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder, "wait.yaml")
        spec.write_text(json.dumps(_specification(port, users)))
        runner = Path(sys.executable).with_name("runner")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with subprocess.Popen(
            [runner, "execute", spec, "--out", Path(folder, "run"), "--no-calibrate", "--no-lock"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
        ) as process:
            _wait_until(process, users)
            signalled = time.monotonic()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=_GIVEN_UP_S)
            wall_s = time.monotonic() - signalled
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if not Path(folder, "run", "report.html").exists():
            sys.exit("the interrupted run has no report")
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _wait_until(process: subprocess.Popen[str], users: int) -> None:
    """Return when so many users are under way, as the progress of the run says."""
    assert process.stderr is not None
    for line in process.stderr:
        count = line.partition(_UNDER_WAY)[0].rpartition(" ")[2].replace(",", "")
        if _UNDER_WAY in line and count.isdecimal() and int(count) >= users:
            return
    sys.exit(f"the run ended before {users:,} users were under way")


def _specification(port: int, users: int) -> dict[str, object]:
    return {
        "version": 1,
        "name": "wait",
        "topology": {"kind": "external", "url": f"http://127.0.0.1:{port}"},
        "load": {"scenarios": [_WAIT], "max_in_flight": 20_000, "workers": 1},
        "stages": [{"users_per_s": round(users / _STARTED_WITHIN_S), "duration": "60s"}],
    }
