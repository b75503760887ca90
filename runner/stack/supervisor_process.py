"""The small parent of a command: every orphan of the command stays below it, and can be found.

A program that forks twice and overwrites its environment (nginx, php-fpm, PostgreSQL) leaves its session, its
parent and every mark. The kernel gives its orphans to the nearest ancestor that is a child subreaper
(prctl(2)), which is this process. It ends when no descendant is left.

Run as a file, with the standard library only: a request as JSON on stdin, reports as lines of JSON on stdout.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any, Final

NAME: Final = "loadproof-init"
"""Its name in the process table."""

_SET_NAME, _SET_CHILD_SUBREAPER = 15, 36
_IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_HANDLED_BY_PYTHON: Final = (signal.SIGPIPE, signal.SIGXFSZ)


def main() -> None:
    """Start the requested command, report its pid and its end, and reap all orphans."""
    request = json.loads(sys.stdin.buffer.read())
    libc = ctypes.CDLL(None)
    libc.prctl(_SET_NAME, NAME.encode(), 0, 0, 0)
    libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _join(request["group"])
    child, error = _start(request)
    os.close(request["output"])
    if error:
        _report({"errno": error})
        return
    _report({"pid": child, "started": _start_ticks(child)})
    _reap_until_alone(child)


def _join(group: str | None) -> None:
    if group:
        with suppress(OSError), open(f"{group}/cgroup.procs", "w", encoding="ascii") as members:  # noqa: PTH123
            members.write(str(os.getpid()))


def _start(request: dict[str, Any]) -> tuple[int, int]:
    """Fork and execute the command; return its pid and 0, or the error number of execve(2)."""
    inherited = {number: signal.signal(number, signal.SIG_IGN) for number in _IGNORED}
    inherited[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    failure, failed = os.pipe()
    child = os.fork()
    if child == 0:
        _execute(request, inherited, failed)
    os.close(failed)
    with os.fdopen(failure) as report:
        error = int(report.read() or 0)
    return child, error


def _execute(request: dict[str, Any], signals: dict[signal.Signals, Any], failed: int) -> None:
    """Become the command; never return."""
    try:
        for number, handler in signals.items():
            signal.signal(number, handler if handler == signal.SIG_IGN else signal.SIG_DFL)
        for number in _HANDLED_BY_PYTHON:
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        if request["folder"]:
            os.chdir(request["folder"])
        if request["cpus"]:
            os.sched_setaffinity(0, request["cpus"])
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(request["output"], 1)
        os.dup2(request["output"], 2)
        os.set_inheritable(request["output"], False)
        environment = {os.fsencode(name): os.fsencode(value) for name, value in request["env"].items()}
        words = [os.fsencode(word) for word in request["argv"]]
        os.execve(words[0], words, environment)  # noqa: S606  (the command of the specification)
    except OSError as error:
        os.write(failed, str(error.errno).encode())
    finally:
        os._exit(127)


def _start_ticks(pid: int) -> int:
    """Return the start time of a child, which exists as long as nothing waited for it."""
    with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123
        return int(stat.read().rpartition(b")")[2].split()[19])


def _reap_until_alone(child: int) -> None:
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, 0)
            if pid == child:
                _report({"exit": os.waitstatus_to_exitcode(status)})


def _report(message: dict[str, int]) -> None:
    with suppress(BrokenPipeError):  # the runner was killed
        os.write(1, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
