"""Where control groups are mounted is read from the kernel's own tables, of version 1, 2 and both."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.core.control_groups import Hierarchy, hierarchies

VERSION_2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate"
VERSION_1 = "33 32 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:11 - cgroup cgroup rw,cpu,cpuacct"
NAMED = "34 32 0:30 /docker/a1 /sys/fs/cgroup/systemd ro master:12 - cgroup cgroup rw,xattr,name=systemd"
OTHER = "24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"


def test_each_controller_has_the_mount_that_shows_it() -> None:
    mounted = hierarchies(f"{OTHER}\n{VERSION_2}\n{VERSION_1}\n{NAMED}")

    assert mounted[""] == Hierarchy("/", Path("/sys/fs/cgroup"))
    assert mounted["cpu"] == mounted["cpuacct"] == Hierarchy("/", Path("/sys/fs/cgroup/cpu,cpuacct"))
    assert mounted["name=systemd"] == Hierarchy("/docker/a1", Path("/sys/fs/cgroup/systemd"))


def test_other_file_systems_are_no_control_groups() -> None:
    assert hierarchies(OTHER) == {}


@pytest.mark.parametrize(
    ("root", "group", "folder"),
    [
        ("/", "/", "/sys/fs/cgroup"),
        ("/", "/user.slice/app", "/sys/fs/cgroup/user.slice/app"),
        ("/docker/a1", "/docker/a1", "/sys/fs/cgroup"),
        ("/docker/a1", "/docker/a1/worker", "/sys/fs/cgroup/worker"),
    ],
)
def test_a_group_is_below_the_part_of_the_tree_that_is_mounted(root: str, group: str, folder: str) -> None:
    assert Hierarchy(root, Path("/sys/fs/cgroup")).folder(group) == Path(folder)


def test_the_tables_of_this_machine_name_folders_that_exist() -> None:
    mounted = hierarchies(Path("/proc/self/mountinfo").read_text(errors="surrogateescape"))

    assert all(hierarchy.point.is_dir() for hierarchy in mounted.values())
