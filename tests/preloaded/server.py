"""A process that has imported the runner, and becomes a runner itself, in a fork, as often as tests need one.

Python needs half a second of CPU to import all that `runner execute` uses; a fork needs some milliseconds.
Usage: python server.py DESCRIPTOR-OF-THE-SOCKET [MODULE]    with MODULE for this one program, and quickly
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import resource
import runpy
import select
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from runner.load.extensions import allowed
from tests.preloaded.own_programs import fork_own_programs
from tests.preloaded.shown import show

_MAX_ORDER = 1 << 20
_PATH = sys.path[1:]
"""Of a new interpreter, without the program's folder: an import can add to it."""
_SPECIFICATION = Path(__file__).parents[2] / "experiments" / "quickstart.yaml"

Order: TypeAlias = dict[str, Any]
"""What `client.py` asks for: how the process is started, as `subprocess` would do it."""


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    _heed_all_signals()
    if sys.argv[2:]:
        importlib.import_module(sys.argv[2])
        del sys.modules[sys.argv[2]]  # each fork runs it
    else:
        _import_all("runner")
        _compile_templates()
        _build_models()
    gc.collect()
    gc.freeze()  # forks share what the collector never touches
    _become(_serve(control))


def _heed_all_signals() -> None:
    """Undo what was ignored when a test started this server, except what Python itself ignores."""
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) is signal.SIG_IGN:
            usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, usual)


def _import_all(name: str) -> None:
    """Import every module of a package, except those that are started as programs or may not be used."""
    without = (
        "__main__",
        "_process",
        "_worker",
        *(() if allowed() else (".fastcounts", ".fastdraws", ".fastpath", ".fastscenarios")),
    )
    for module in pkgutil.walk_packages(importlib.import_module(name).__path__, f"{name}."):
        if not module.name.endswith(without):
            with contextlib.suppress(ImportError):  # of an optional library
                importlib.import_module(module.name)


def _compile_templates() -> None:
    """Compile the templates of all modules, which takes longer than filling them in."""
    from jinja2 import Environment

    for module in [module for name, module in sys.modules.items() if name.startswith("runner.")]:
        for value in vars(module).values():
            if isinstance(value, Environment):
                for name in value.list_templates(extensions=["j2"]):
                    value.get_template(name)


def _build_models() -> None:
    """Read a specification: the models of it are built when the first one is read."""
    from runner.experiment.load import read_spec

    read_spec(_SPECIFICATION.read_bytes(), source=_SPECIFICATION.name)


def _serve(control: socket.socket) -> Order:
    """Fork for each order, and report how the forks end; returns in the forks only."""
    children: dict[int, tuple[int, socket.socket]] = {}  # by a descriptor that is readable after the end
    while True:
        for ready in select.select([control, *children], [], [])[0]:
            if ready is not control:
                _report_end(*children.pop(ready))
                os.close(ready)
                continue
            message, descriptors, _, _ = socket.recv_fds(control, _MAX_ORDER, 4)
            if not message:
                os._exit(0)  # the tests have ended
            if (pid := os.fork()) == 0:
                _close(control, *children, *(status for _, status in children.values()))
                return json.loads(message) | {"descriptors": descriptors}
            *streams, status = descriptors
            _close(*streams)
            children[os.pidfd_open(pid)] = pid, socket.socket(fileno=status)
            os.write(status, b"%d" % pid)


def _report_end(pid: int, status: socket.socket) -> None:
    with status:
        ended = os.waitpid(pid, 0)[1]
        with contextlib.suppress(BrokenPipeError):  # the client has gone
            status.send(b"%d" % ended)


def _close(*files: int | socket.socket) -> None:
    for file in files:
        os.close(file) if isinstance(file, int) else file.close()


def _become(order: Order) -> None:
    """Make this fork what a new process would be, and run its program."""
    if order["new_session"]:
        os.setsid()
    _take_streams(order["descriptors"])
    os.chdir(os.fsencode(order["cwd"]))
    os.umask(order["umask"])
    os.sched_setaffinity(0, order["processors"])
    for kind, limits in order["limits"]:
        resource.setrlimit(kind, limits)
    for number in order["ignored"]:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, order["blocked"])
    os.environ.clear()
    os.environ.update(order["env"])
    _keep_what_the_server_made()
    words = order["words"]
    if show(_command_line(words), os.environ, Path(words[0]).name):
        fork_own_programs(_run_to_the_end)
    _run_to_the_end(words)


def _command_line(words: list[str]) -> list[str]:
    """Return the command line of a new process: a script comes after the interpreter of its first line."""
    if words[1:2] == ["-m"]:
        return words
    with Path(words[0]).open() as script:
        return [*script.readline().removeprefix("#!").split(), *words]


def _take_streams(descriptors: list[int]) -> None:
    """Put the descriptors at 0 to 2."""
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
    _close(*descriptors)


def _open_streams() -> None:
    """Open text streams like those of a new interpreter."""
    sys.stdin = sys.__stdin__ = _stream(0, "r", sys.stdin.errors)
    sys.stdout = sys.__stdout__ = _stream(1, "w", sys.stdout.errors, by_line=os.isatty(1))
    sys.stderr = sys.__stderr__ = _stream(2, "w", "backslashreplace", by_line=True)


def _stream(descriptor: int, mode: str, errors: str | None, *, by_line: bool = False) -> TextIO:
    buffering = 1 if by_line else -1
    return open(descriptor, mode, buffering, sys.stdout.encoding, errors, closefd=False)


def _seed() -> None:
    """Give the fork random numbers of its own; `random` itself does so in every fork."""
    if trio := sys.modules.get("trio._core._run"):
        trio._r.seed()


def _keep_what_the_server_made() -> None:
    """Have the collector pass over it also where a program thaws its own objects: that would copy it all."""
    gc.unfreeze = lambda: None


def _run_to_the_end(words: list[str]) -> None:
    """Run a program, and do what Python does as it ends, except that nothing is freed.

    To free what the server has made takes five times as long as the fork.
    """
    _open_streams()
    _seed()
    try:
        _run(words)
        status = 0
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        status = (end.code or 0) & 0xFF
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except (AttributeError, OSError, ValueError):  # there is none, or it is closed: Python knows what follows
        sys.exit(status)
    os._exit(status)


def _run(words: list[str]) -> None:
    """Run ``SCRIPT ARGUMENT ...``, the script of the runner, or ``PYTHON [-P] -m MODULE ARGUMENT ...``."""
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    paths += [path for path in _PATH if path not in paths]
    if words[1:3] == ["-P", "-m"]:
        sys.path[:] = paths
        sys.argv = words[3:]
        runpy.run_module(words[3], run_name="__main__", alter_sys=True)
    elif words[1:2] == ["-m"]:
        sys.path[:] = [str(Path.cwd()), *paths]
        sys.argv = words[2:]
        runpy.run_module(words[2], run_name="__main__", alter_sys=True)
    else:
        sys.path[:] = [str(Path(words[0]).parent), *paths]
        sys.argv = words
        importlib.import_module("runner.__main__").main()


if __name__ == "__main__":
    main()
