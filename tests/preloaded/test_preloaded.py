"""A fork of the preloaded process cannot be told from a new process."""

import json
import os
import resource
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.preloaded import client

STATE = [sys.executable, "-m", "tests.preloaded.state", "a", "b c"]
PIPES = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


def environment(**more):
    return os.environ | {"PYTHONPATH": str(client.ROOT)} | client.BYTECODE | more


def state(start, variables=(), words=STATE, **keywords):
    with start(words, env=environment(EXTRA="1", **dict(variables)), **PIPES | keywords) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    return json.loads(out)


def both(**keywords):
    forked = state(client.popen, **keywords)
    assert client.server_pids()
    new = state(subprocess.Popen, **keywords)
    if not can_show():
        forked["shown"] = new["shown"]
    return forked, new


@cache
def can_show():
    """Whether this kernel lets a process change what /proc shows of it."""
    code = "from tests.preloaded.shown import show; raise SystemExit(not show(['a'], {}, 'a'))"
    return subprocess.run([sys.executable, "-c", code], cwd=client.ROOT, check=False).returncode == 0


@pytest.fixture
def odd_surroundings(tmp_path, monkeypatch):
    """This process differs from what it was when the server started."""
    umask, limits = os.umask(0o027), resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[0] - 1, limits[1]))
    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(processors)})
    monkeypatch.chdir(tmp_path)
    yield
    os.sched_setaffinity(0, processors)
    signal.signal(signal.SIGHUP, ignored)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    os.umask(umask)


@pytest.mark.parametrize("keywords", [{}, {"start_new_session": True, "cwd": "/"}], ids=["plain", "session"])
def test_a_fork_has_the_state_of_a_new_process(keywords):
    forked, new = both(**keywords)

    assert forked == new


def test_a_program_that_a_fork_starts_is_a_fork_with_the_state_of_a_new_process():
    if not can_show():
        pytest.skip("/proc cannot show its command line, so it is no fork")
    words = [sys.executable, "-m", "tests.preloaded.starts", str(int(signal.SIGUSR1))]
    forked, new = both(words=words, variables={"TRACE": "1"}, cwd=client.ROOT)

    assert forked.pop("flags") != new.pop("flags")  # those of the server: without -P
    assert forked == new


def test_programs_without_compiled_modules_are_forks_of_a_server_without_them():
    forked, new = both(variables={"LOADPROOF_NO_EXTENSIONS": "1"})

    assert forked == new
    server = Path(f"/proc/{client._servers['1', ''].process.pid}")
    assert b"LOADPROOF_NO_EXTENSIONS=1" in (server / "environ").read_bytes().split(b"\0")
    assert "/fastpath." not in (server / "maps").read_text()


def test_a_fork_inherits_what_a_test_has_changed(odd_surroundings):
    forked, new = both(stdin=subprocess.DEVNULL)

    assert forked == new


@pytest.mark.parametrize(
    ("code", "ended"), [("raise SystemExit(7)", 7), ("import os; os.abort()", -6), ("1 / 0", 1), ("", 0)]
)
def test_a_fork_ends_as_a_new_process_does(tmp_path, code, ended):
    (tmp_path / "ends_like_this.py").write_text(code)

    process = client.popen([sys.executable, "-m", "ends_like_this"], env=environment(), cwd=tmp_path, **PIPES)

    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (ended, "")
    assert ("ZeroDivisionError" in err) == (ended == 1)


def test_a_fork_can_be_waited_for_signalled_and_asked(tmp_path):
    (tmp_path / "waits.py").write_text("import sys; print('here', flush=True); sys.stdin.read()")
    words = [sys.executable, "-m", "waits"]
    kept, killed = (
        client.popen(words, env=environment(MARK=str(n)), cwd=tmp_path, stdin=subprocess.PIPE, **PIPES)
        for n in range(2)
    )
    assert kept.stdout.readline() == killed.stdout.readline() == "here\n"
    assert client.running("MARK", "1") == [" ".join(words)]

    killed.terminate()

    with pytest.raises(subprocess.TimeoutExpired):
        kept.wait(0.05)
    assert (killed.wait(30), kept.poll()) == (-signal.SIGTERM, None)
    assert client.running("MARK", "1") == []
    kept.communicate("", timeout=30)
    assert kept.returncode == 0
    killed.communicate()


@pytest.mark.parametrize(
    ("words", "variables", "keywords"),
    [
        (STATE, {"LC_ALL": "C"}, {}),
        (STATE, {"PYTHONUNBUFFERED": "1"}, {}),
        (STATE, {}, {"pass_fds": [0]}),
        (["sh", "-c", ":"], {}, {}),
    ],
)
def test_what_a_fork_cannot_be_is_a_new_process(words, variables, keywords):
    with client.popen(words, env=environment(**variables), **PIPES, **keywords) as process:
        process.communicate(timeout=30)

    assert type(process) is subprocess.Popen
    assert process.returncode == 0


def test_a_server_that_has_ended_is_started_again_and_its_forks_ignore_only_what_is_ignored_now():
    numbers = signal.SIGHUP, signal.SIGINT, signal.SIGUSR1
    handlers = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        end_the_server()
        at_start, new_at_start = both()
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)
    later, new_later = both()

    assert (at_start, later) == (new_at_start, new_later)
    assert at_start["status"] != later["status"]


def end_the_server():
    state(client.popen)
    server = client._servers[os.environ.get("LOADPROOF_NO_EXTENSIONS"), ""].process
    os.kill(server.pid, signal.SIGKILL)
    server.wait(30)
