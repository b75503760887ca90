"""All processes that serve a port are found by the roots of their trees, masters and workers."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest

from runner.stack.listening_processes import serving
from runner.stack.ports import free_port

SHARED = """
import os, socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
for _ in range(3):
    if os.fork() == 0:
        break
print("ready", flush=True)
time.sleep(60)
"""
WORKERS_ONLY = """
import os, socket, sys, time
for _ in range(2):
    if os.fork() == 0:
        server = socket.create_server(("127.0.0.1", int(sys.argv[1])), reuse_port=True)
        break
print("ready", flush=True)
time.sleep(60)
"""
TWO_PROGRAMS = """
import socket, subprocess, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
child = subprocess.Popen(["sleep", "60"], pass_fds=[server.fileno()])
server.close()
print("ready", flush=True)
time.sleep(60)
"""


@contextmanager
def running(text, lines):
    """Run a program of Python in a group of its own, and yield it with its port."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", text, str(port)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        for _ in range(lines):
            process.stdout.readline()
        yield process.pid, port
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize(("text", "lines"), [(SHARED, 4), (WORKERS_ONLY, 3)])
def test_workers_are_found_by_the_process_that_forked_them(text, lines):
    with running(text, lines) as (pid, port):
        assert serving(port) == (pid,)


def test_a_parent_that_runs_another_program_is_no_part_of_the_service():
    with running(TWO_PROGRAMS, 1) as (pid, port):
        (found,) = serving(port)

        assert found != pid


def test_two_services_that_share_a_port_are_both_found():
    with running(WORKERS_ONLY, 3) as (first, port):
        again = subprocess.Popen(
            [sys.executable, "-c", WORKERS_ONLY, str(port)],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            for _ in range(3):
                again.stdout.readline()
            assert serving(port) == tuple(sorted((first, again.pid)))
        finally:
            os.killpg(again.pid, signal.SIGKILL)
            again.communicate()


def test_nobody_serves_a_free_port():
    assert serving(free_port()) == ()
