"""Daemons of an engine inside a container or another process namespace are no part of this one."""

import shutil
import subprocess
import time
from contextlib import contextmanager

from runner.core.facts import Window
from runner.observe.node.messages import ObserveOrder
from runner.observe.node.subjects import subjects_of
from runner.observe.processes import children, is_in_nested_namespace, name_of
from runner.stack.docker.processes import find_subjects


@contextmanager
def daemons(folder):
    """Start two programs named as a daemon, one in a process namespace of its own; yield their pids."""
    program = shutil.copy("/bin/sleep", folder / "containerd")
    inside = ["unshare", "--pid", "--fork", "--kill-child", program, "60"]
    with subprocess.Popen([program, "60"]) as here, subprocess.Popen(inside) as outer:
        try:
            deadline = time.monotonic() + 30
            while not any(name_of(pid) == "containerd" for pid in children(outer.pid)):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            yield here.pid, children(outer.pid)[0]
        finally:
            here.kill()
            outer.kill()


def test_daemons_of_another_process_namespace_are_not_observed(tmp_path):
    order = ObserveOrder(window=Window(0, 0, 1), interval_s=1.0, run_id="r")
    with daemons(tmp_path) as (here, nested):
        on_a_node = {subject.pid for subject in subjects_of(order)[0]}
        on_this_machine = {subject.pid for subject in find_subjects(())}

        assert (is_in_nested_namespace(here), is_in_nested_namespace(nested)) == (False, True)
        assert here in on_a_node & on_this_machine
        assert nested not in on_a_node | on_this_machine
