"""Starts programs of the runner as forks of a process that has imported them already: see `server.py`.

A fork is what a new process would be: arguments, environment, folder, streams, signals, limits, session, exit
status. `test_preloaded.py` compares them. What an interpreter decides while it starts cannot differ from the
server's; a program that asks for that, or for anything else that a fork cannot have, is started as usual.
"""

import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SCRIPT = str(Path(sys.executable).parent / "runner")
ROOT = Path(__file__).parents[2]
BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}
"""An installed program is compiled; so is the one under test, whatever the variables of these tests say."""

_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | BYTECODE
"""The server's: of when the tests began, whatever a test that starts it has changed."""
_READ_AT_START = (
    "PYTHON",
    "LC_",
    "LANG",
    "LD_",
    "MALLOC_",
    "GLIBC_",
    "LOADPROOF_NO_",
    "TZ",
    "OPENSSL_",
    "SSL_",
)
_SET_IN_FORK = {"PYTHONPATH"}
_OF_A_SERVER = "LOADPROOF_NO_EXTENSIONS"
"""Tests start many programs with it and without it: each value has a server of its own."""
_OF_ITS_OWN = "runner.load.worker"
"""Most tests of the generator start nothing else, and it needs little: its server starts at once."""
_KEYWORDS = {"cwd", "stdin", "stdout", "stderr", "start_new_session", "text", "encoding", "errors", "bufsize"}
_RESET = {signal.SIGPIPE, signal.SIGXFSZ}
"""Python ignores these, and `subprocess` does not pass that on."""


def popen(words, *, env: Mapping[str, str], **keywords) -> subprocess.Popen:
    """Start a program with keywords of `subprocess.Popen`: as a fork if that makes no difference."""
    start = _Fork if _is_known(words) and _is_like_server(env) and keywords.keys() <= _KEYWORDS else None
    return (start or subprocess.Popen)(words, env=env, **keywords)


def server_pids() -> set[int]:
    """Return the processes that are no leftovers of a test, though they stay."""
    return {server.process.pid for server in _servers.values()}


def running(variable: str, value: str) -> list[str]:
    """Return the command lines of forks with this variable; /proc shows the server's environment for them."""
    _forks[:] = [fork for fork in _forks if fork.poll() is None]
    return [" ".join(fork.args) for fork in _forks if fork.env.get(variable) == value]


def _is_known(words) -> bool:
    return words[0] == SCRIPT or (words[0] == sys.executable and words[1] == "-m")


def _is_like_server(env: Mapping[str, str]) -> bool:
    """Whether everything that an interpreter and its modules read while they start is as in the server."""
    return _read_at_start(env | BYTECODE) == _read_at_start(_ENVIRONMENT)


def _read_at_start(env: Mapping[str, str]) -> dict[str, str]:
    names = {name for name in env if name.startswith(_READ_AT_START)} - _SET_IN_FORK - {_OF_A_SERVER}
    return {name: env[name] for name in names}


class _Server:
    """The process that forks; it ends with this one."""

    def __init__(self, extensions: str | None, module: str) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {name: value for name, value in _ENVIRONMENT.items() if name != _OF_A_SERVER}
        with theirs:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    Path(__file__).with_name("server.py"),
                    str(theirs.fileno()),
                    *module.split(),
                ],
                env=environment | ({} if extensions is None else {_OF_A_SERVER: extensions}),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )


_servers: dict[tuple[str | None, str], _Server] = {}
"""The value of `_OF_A_SERVER`, or None without it, and the only module that it starts, if any."""
_forks: list["_Fork"] = []


def _the_server(extensions: str | None, words: list[str]) -> _Server:
    """Return the server, a new one if a test has ended all children of this process."""
    key = extensions, _OF_ITS_OWN if words[1:] == ["-m", _OF_ITS_OWN] else ""
    server = _servers.get(key)
    if server and server.process.poll() is not None:
        server.control.close()
        server = None
    _servers[key] = server or _Server(*key)
    return _servers[key]


class _Fork(subprocess.Popen):
    """A child of the server that is used like a child of this process."""

    def _execute_child(self, args, _executable, _preexec, _close, _pass, cwd, env, *rest) -> None:
        """Fork instead of fork and exec; the rest: three flags, six ends of pipes, rights and session."""
        pipes, new_session = rest[3:9], rest[-2]
        child_ends = pipes[0], pipes[3], pipes[5]
        streams = [number if end == -1 else end for number, end in enumerate(child_ends)]
        self.env = dict(env)
        order = {"words": list(map(os.fspath, args)), "env": self.env, "new_session": new_session}
        order |= {"cwd": os.fspath(cwd or Path.cwd())} | _inherited()
        control = _the_server(self.env.get(_OF_A_SERVER), order["words"]).control
        self._status, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(control, [json.dumps(order).encode()], [*streams, theirs.fileno()])
        self._close_pipe_fds(*pipes)
        self.pid = int(self._status.recv(32))
        self._child_created = True
        _forks.append(self)

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if wait_flags & os.WNOHANG and not select.select([self._status], [], [], 0)[0]:
            return 0, 0
        ended = self._status.recv(32)
        assert ended, "the server of preloaded programs has ended"
        self._status.close()
        return self.pid, int(ended)

    def _internal_poll(self, *_ignored, **_named) -> int | None:
        if self.returncode is None and self._waitpid_lock.acquire(blocking=False):
            try:
                pid, status = self._try_wait(os.WNOHANG)
                if pid:
                    self._handle_exitstatus(status)
            finally:
                self._waitpid_lock.release()
        return self.returncode


def _inherited() -> dict[str, object]:
    """Return what a child process takes over from this one."""
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    status = Path("/proc/self/status").read_text()
    umask = next(line for line in status.splitlines() if line.startswith("Umask:"))
    kinds = {getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}
    return {
        "umask": int(umask.split()[1], 8),
        "processors": sorted(os.sched_getaffinity(0)),
        "limits": [(kind, resource.getrlimit(kind)) for kind in kinds],
        "ignored": [n for n, handler in handlers.items() if handler is signal.SIG_IGN and n not in _RESET],
        "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    }
