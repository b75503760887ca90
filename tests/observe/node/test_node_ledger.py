"""The CPU of a node's parts and of its strangers adds up to what a control group around them all has used.

Nodes of a swarm on one machine share `/proc/stat`, so that the arithmetic is checked against a control group.
"""

import os
import secrets
import subprocess
import sys
from contextlib import contextmanager

import pytest

from runner.core.observed_facts import Subject
from runner.observe.programs.membership import experiment_of
from runner.observe.programs.process_table import ProcessTable
from runner.observe.readers import reader_for
from runner.observe.roots import Roots, observing
from tests.observe.node.box import group_of
from tests.observe.node.test_agent_in_a_box import used_s

ROOT = pytest.mark.skipif(os.geteuid() != 0 and not os.environ.get("CI"), reason="needs root")
FOREIGN = Roots("/proc", "/sys", are_foreign=True)
"""As in an agent's container, but with the process numbers that this test knows."""
BURNS = """
import os, sys, threading, time
def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
print("up", flush=True)
input()  # until it is in its control group, and counted for the first time
threads = [threading.Thread(target=burn, args=(0.06,)) for _ in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
if sys.argv[1] == "with child":
    if os.fork() == 0:
        burn(0.08)
        os._exit(0)
    os.wait()
print("done", flush=True)
sys.stdin.read()
"""


@contextmanager
def burner(what):
    running = subprocess.Popen(
        [sys.executable, "-c", BURNS, what], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout.readline() == "up\n"
        yield running
    finally:
        running.communicate()


@ROOT
def test_parts_and_strangers_add_up_to_what_the_node_used():
    node = f"lp-node-{secrets.token_hex(4)}"
    with (
        burner("with child") as app,
        burner("alone") as stranger,
        group_of(node, stranger.pid) as around,
        group_of(f"{node}/{secrets.token_hex(32)}", app.pid),
        observing(FOREIGN),
    ):
        subject = Subject("app", "app", "cgroup", app.pid)
        reader, table = reader_for(subject), ProcessTable(experiment_of([subject]))
        before_s, app_before_s = used_s(around), reader.read().cpu_s
        table.read()
        for running in (app, stranger):
            running.stdin.write("\n")
            running.stdin.flush()
        for running in (app, stranger):
            assert running.stdout.readline() == "done\n"
        table.read()
        app_s, total_s = reader.read().cpu_s - app_before_s, used_s(around) - before_s
        for running in (app, stranger):
            running.communicate()
        strangers = {usage.pid: usage.used_s for usage in table.usages()}

    assert app.pid not in strangers
    assert app_s >= 0.2
    assert strangers[stranger.pid] >= 0.1
    assert app_s + strangers[stranger.pid] == pytest.approx(total_s, abs=0.05)  # a stranger's is rounded down
