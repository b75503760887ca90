import os
import subprocess
import sys
import time
from pathlib import Path

from runner.stack.reaper import COOKIE, belongings, end, is_running, look_up, start_ticks


def sleeping(run_id=None, **keywords) -> subprocess.Popen:
    env = os.environ | ({COOKIE: run_id} if run_id else {})
    process = subprocess.Popen(["sleep", "64"], env=env, **keywords)
    while Path(f"/proc/{process.pid}/cmdline").read_bytes() != b"sleep\x0064\0":
        time.sleep(0.005)
    return process


def test_a_process_is_looked_up_with_parent_group_and_start():
    process = sleeping()
    try:
        found = look_up(process.pid)

        assert (found.parent, found.group) == (os.getpid(), os.getpgrp())
        assert found.started >= start_ticks(os.getpid())
        assert is_running(found)
    finally:
        process.kill()
        process.wait()
    assert look_up(process.pid) is None
    assert not is_running(found)


def test_a_name_with_brackets_and_spaces_does_not_confuse_the_look_up():
    code = "import ctypes, sys; ctypes.CDLL(None).prctl(15, b') Z 1 1 (', 0, 0, 0); print(); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        found = look_up(process.pid)
        process.stdin.close()

    assert (found.parent, found.group) == (os.getpid(), os.getpgrp())
    assert found.started > start_ticks(os.getpid())


def test_a_zombie_does_not_count_as_running(run_id):
    process = sleeping(run_id)
    found = look_up(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert not is_running(found)
    assert belongings(run_id, {found.pid: found.started}) == set()
    process.wait()


def test_the_process_itself_and_its_ancestors_never_belong(run_id):
    everyone = {os.getpid(): start_ticks(os.getpid()), os.getppid(): start_ticks(os.getppid())}

    spared = {os.getpid(), os.getppid()}

    assert spared.isdisjoint(process.pid for process in belongings(run_id, everyone))


def test_a_pid_that_was_given_out_again_is_a_stranger(run_id):
    stranger = sleeping(start_new_session=True)
    try:
        earlier = start_ticks(stranger.pid) - 1

        assert belongings(run_id, {stranger.pid: earlier}) == set()
        assert end(run_id, {stranger.pid: earlier}, grace_s=0)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_only_the_whole_cookie_counts(run_id):
    other = sleeping(run_id + "0")
    try:
        assert belongings(run_id) == set()
        assert len(belongings(run_id + "0")) == 1
    finally:
        other.kill()
        other.wait()


def test_a_process_that_keeps_starting_others_is_ended_with_them(run_id):
    code = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    if os.fork() == 0:
        os.setsid()
        time.sleep(1)
        if os.fork():
            os._exit(0)
    time.sleep(0.02)
"""
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {COOKIE: run_id})
    deadline = time.monotonic() + 10
    while len(belongings(run_id)) < 5 and time.monotonic() < deadline:
        time.sleep(0.02)

    assert end(run_id, grace_s=0.1)
    process.wait()
