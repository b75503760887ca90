import os
import subprocess
import sys
import time
from pathlib import Path

from runner.stack.reaper import COOKIE, end, is_running, look_up, run_processes, start_ticks


def sleeping(run_id=None, **keywords) -> subprocess.Popen:
    env = os.environ | ({COOKIE: run_id} if run_id else {})
    process = subprocess.Popen(["sleep", "64"], env=env, **keywords)
    while Path(f"/proc/{process.pid}/cmdline").read_bytes() != b"sleep\x0064\0":
        time.sleep(0.005)
    return process


def test_look_up_returns_parent_group_and_start():
    process = sleeping()
    try:
        process_info = look_up(process.pid)

        assert (process_info.parent, process_info.group) == (os.getpid(), os.getpgrp())
        assert process_info.started >= start_ticks(os.getpid())
        assert is_running(process_info)
    finally:
        process.kill()
        process.wait()
    assert look_up(process.pid) is None
    assert not is_running(process_info)


def test_a_name_with_brackets_and_spaces_does_not_confuse_the_look_up():
    code = "import ctypes; ctypes.CDLL(None).prctl(15, b') Z 1 1 (', 0, 0, 0); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        process_info = look_up(process.pid)
        process.stdin.write(b"\n")

    assert (process_info.parent, process_info.group) == (os.getpid(), os.getpgrp())
    assert process_info.started > start_ticks(os.getpid())


def test_a_zombie_does_not_count_as_running(run_id):
    process = sleeping(run_id)
    process_info = look_up(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert not is_running(process_info)
    assert run_processes(run_id, {process_info.pid: process_info.started}) == set()
    process.wait()


def test_the_process_itself_and_its_ancestors_are_excluded(run_id):
    everyone = {os.getpid(): start_ticks(os.getpid()), os.getppid(): start_ticks(os.getppid())}

    spared = {os.getpid(), os.getppid()}

    assert spared.isdisjoint(process.pid for process in run_processes(run_id, everyone))


def test_a_reused_pid_is_left_alone(run_id):
    other = sleeping(start_new_session=True)
    try:
        earlier = start_ticks(other.pid) - 1

        assert run_processes(run_id, {other.pid: earlier}) == set()
        assert end(run_id, {other.pid: earlier}, grace_s=0)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_only_the_whole_cookie_counts(run_id):
    other = sleeping(run_id + "0")
    try:
        assert run_processes(run_id) == set()
        assert len(run_processes(run_id + "0")) == 1
    finally:
        other.kill()
        other.wait()


def test_a_process_that_keeps_starting_others_is_ended_with_them(run_id):
    # Only the first one does so, and not for ever: others could fill a busy machine with processes.
    code = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(200):
    if os.fork() == 0:
        os.setsid()
        time.sleep(1)
        if os.fork() == 0:
            time.sleep(60)
        os._exit(0)
    time.sleep(0.02)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {COOKIE: run_id})
    deadline = time.monotonic() + 10
    while len(run_processes(run_id)) < 5 and time.monotonic() < deadline:
        time.sleep(0.02)

    assert end(run_id, grace_s=0.1)
    process.wait()
