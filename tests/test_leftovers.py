"""The check of what tests leave running finds it, by name."""

import os
import signal
import subprocess
import threading

import pytest

from runner.stack.docker.labels import run_labels
from tests import leftovers
from tests.leftovers import nothing_left


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(leftovers, "_WITHIN_S", 0.5)


def test_a_process_without_its_parent_is_named(tmp_path):
    started = "setsid sleep 31 & echo $! >pid; until grep -q sleep /proc/$!/comm; do :; done"
    with pytest.raises(AssertionError, match="sleep 31"), nothing_left(containers=False):
        subprocess.run(["sh", "-c", started], check=True, cwd=tmp_path)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_a_child_without_the_mark_is_named():
    with pytest.raises(AssertionError, match="sleep 32"), nothing_left(containers=False):
        child = subprocess.Popen(["sleep", "32"], env={})
    child.kill()
    child.wait()


def test_a_thread_is_named():
    ending = threading.Event()
    with pytest.raises(AssertionError, match="thread spinning"), nothing_left(containers=False):
        threading.Thread(target=ending.wait, name="spinning").start()
    ending.set()


def test_what_ends_soon_afterwards_and_what_was_there_before_is_not_left():
    with subprocess.Popen(["sleep", "1.5"]), nothing_left(containers=False):
        ending = subprocess.Popen(["sleep", "0.2"])
    ending.wait()


@pytest.mark.docker
def test_a_network_of_a_run_is_named():
    name = "loadproof-test-leftover"
    # it has a live owner, or the runs of other tests would remove it
    labels = [f"--label={key}={value}" for key, value in run_labels("leftover", "test").items()]
    with pytest.raises(AssertionError, match=name), nothing_left(containers=True):
        subprocess.run(["docker", "network", "create", *labels, name], check=True)
    subprocess.run(["docker", "network", "rm", name], check=True)
