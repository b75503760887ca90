import subprocess
import sys
from pathlib import Path

import pytest

from runner.core.observed_facts import Throttling
from runner.observe.cgroups import ControlGroup, control_group_of

V1_CPU = Path("/sys/fs/cgroup/cpuacct")


def lay(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def test_version_2_is_found_through_the_process_and_read(tmp_path):
    group = tmp_path / "fs" / "docker-1.scope"
    lay(
        tmp_path,
        {
            "proc/7/cgroup": "0::/docker-1.scope\n",
            "proc/self/mountinfo": f"30 23 0:26 / {tmp_path}/fs rw,nosuid - cgroup2 cgroup2 rw\n",
            "fs/docker-1.scope/cpu.stat": (
                "usage_usec 2500000\nuser_usec 2000000\n"
                "nr_periods 40\nnr_throttled 10\nthrottled_usec 1500000\n"
            ),
            "fs/docker-1.scope/memory.current": "9000\n",
            "fs/docker-1.scope/memory.stat": "anon 5000\ninactive_file 4000\n",
        },
    )

    control_group = control_group_of(7, tmp_path / "proc")

    assert control_group == ControlGroup(group, group, group, group)
    assert (control_group.cpu_seconds(), control_group.memory_bytes()) == (2.5, 5000)
    assert control_group.throttling() == Throttling(40, 10, 1.5)


def test_version_1_finds_each_controller_in_its_own_hierarchy(tmp_path):
    lay(
        tmp_path,
        {
            "proc/7/cgroup": "4:memory:/docker/a\n3:cpu,cpuacct:/docker/a\n1:name=systemd:/x\n0::/\n",
            "proc/self/mountinfo": (
                f"31 23 0:27 / {tmp_path}/fs/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
                f"32 23 0:28 / {tmp_path}/fs/memory rw - cgroup cgroup rw,memory\n"
                f"33 23 0:29 / {tmp_path}/fs/unified rw - cgroup2 cgroup2 rw\n"
            ),
            "fs/cpu/docker/a/cpuacct.usage": "1500000000\n",
            "fs/cpu/docker/a/cpu.stat": "nr_periods 8\nnr_throttled 2\nthrottled_time 250000000\n",
            "fs/memory/docker/a/memory.usage_in_bytes": "700\n",
            "fs/memory/docker/a/memory.stat": "inactive_file 1\ntotal_inactive_file 200\n",
        },
    )

    control_group = control_group_of(7, tmp_path / "proc")

    assert (control_group.cpu_seconds(), control_group.memory_bytes()) == (1.5, 500)
    assert control_group.throttling() == Throttling(8, 2, 0.25)


def test_a_mount_that_shows_only_a_part_of_the_tree_is_followed(tmp_path):
    lay(
        tmp_path,
        {
            "proc/7/cgroup": "0::/outer/inner\n",
            "proc/self/mountinfo": f"30 23 0:26 /outer {tmp_path}/fs rw - cgroup2 cgroup2 rw\n",
            "fs/inner/cpu.stat": "usage_usec 1000000\n",
        },
    )

    assert control_group_of(7, tmp_path / "proc").cpu_seconds() == 1.0


def test_unreadable_counters_are_none_and_not_zero(tmp_path):
    group = ControlGroup(tmp_path, tmp_path)

    assert (group.cpu_seconds(), group.memory_bytes()) == (None, None)
    assert control_group_of(7, tmp_path) is None


@pytest.mark.skipif(not V1_CPU.is_dir(), reason="this host has no version 1 cpuacct hierarchy")
def test_a_real_group_counts_what_its_process_burned():
    group = V1_CPU / "loadproof-test"
    group.mkdir(exist_ok=True)
    try:
        code = (
            f"open('{group}/cgroup.procs', 'w').write('0')\n"
            "import os, time\n"
            "while time.process_time() < 0.3: pass\n"
            "print(os.getpid(), flush=True)\n"
            "input()\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        pid = int(process.stdout.readline())

        used = control_group_of(pid).cpu_seconds()
        process.communicate("\n", timeout=10)
    finally:
        group.rmdir()

    assert 0.2 < used < 0.45
