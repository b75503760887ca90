"""Starts the programs that the runner is made of as forks of a runner that is a fork itself.

They are imported already, where Python would need 0.1 s of CPU for the smallest: a third of what a short run
takes. They stay children of the runner. Everything else is started as usual, and so are they where it is not
possible that /proc shows their command lines.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from tests.preloaded.shown import show

PROGRAMS = {
    "runner.load.responder",
    "runner.load.worker",
    "runner.serve.live_server",
    "runner.serve.worker",
    "runner.stack.watchdog_process",
    "runner.store.chart_worker",
    "tests.preloaded.state",
}


def fork_own_programs(run: Callable[[list[str]], NoReturn]) -> None:
    """Have `subprocess` start these programs as forks from now on; `run` runs one to its end."""
    usual = subprocess.Popen._execute_child  # type: ignore[attr-defined]

    def start(self: Any, args: Any, *rest: Any) -> None:
        executable, preexec, _, pass_fds, cwd, env = rest[:6]
        pipes, new_session = rest[9:15], rest[-2]
        words = [] if isinstance(args, str) else list(map(os.fsdecode, args))
        is_own = words[:3] == [sys.executable, "-P", "-m"] and words[3] in PROGRAMS
        if not is_own or executable or preexec or any(0 <= end < 3 for end in pipes):
            usual(self, args, *rest)
            return
        pid = os.fork()
        if pid == 0:
            _become(words, pipes, pass_fds, cwd, env, new_session=new_session, run=run)
        self.pid = pid
        self._child_created = True
        self._close_pipe_fds(*pipes)

    subprocess.Popen._execute_child = start  # type: ignore[attr-defined]


def _become(words, pipes, pass_fds, cwd, env, *, new_session, run) -> NoReturn:
    try:
        gc.freeze()  # of what the runner had, nothing is freed: that could close a file that is this one's
        _forget_the_runner()
        if new_session:
            os.setsid()
        _take_files([pipes[0], pipes[3], pipes[5]], set(pass_fds))
        if cwd is not None:
            os.chdir(cwd)
        if env is not None:
            os.environ.clear()
            os.environ.update({os.fsdecode(name): os.fsdecode(value) for name, value in env.items()})
        show(words, os.environ, os.path.basename(words[0]))  # noqa: PTH119
        sys.modules.pop(words[3], None)
        run(words)
    except BaseException:  # noqa: BLE001
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    finally:
        os._exit(1)


def _forget_the_runner() -> None:
    """Undo what a new program does not take over: handlers of signals and exits, and what a thread has."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if signal.getsignal(number) not in {signal.SIG_DFL, signal.SIG_IGN, None}:
            signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    atexit._clear()
    threading._main_thread = threading._MainThread()  # type: ignore[attr-defined]
    if trio := sys.modules.get("trio._core._run"):
        vars(trio.GLOBAL_RUN_CONTEXT).clear()


def _take_files(streams: list[int], kept: set[int]) -> None:
    """Put the streams at 0 to 2 where there are any, and close all other files."""
    for number, descriptor in enumerate(streams):
        if descriptor >= 0:
            os.dup2(descriptor, number)
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        if descriptor > 2 and descriptor not in kept:
            try:
                os.close(descriptor)
            except OSError:  # it was the folder's
                continue
    for descriptor in kept:
        os.set_inheritable(descriptor, True)
