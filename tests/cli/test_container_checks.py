"""What `runner doctor` says inside a container; the files of /proc are made here."""

import pytest

from runner.cli.container_checks import check_container

WHOLE = "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
PART = "30 20 0:26 /docker/abc /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
HOST = {"pid": 4026531836, "cgroup": 4026531835}


def container(root, *, mark=".dockerenv", namespaces=HOST, mounts=WHOLE):
    ns = root / "proc/self/ns"
    ns.mkdir(parents=True)
    for kind, number in namespaces.items():
        (ns / kind).symlink_to(f"{kind}:[{number}]")
    (root / "proc/self/mountinfo").write_text(mounts)
    (root / mark).parent.mkdir(exist_ok=True)
    (root / mark).touch()
    return {check.name.removeprefix("the host's "): check for check in check_container(root)}


def test_outside_containers_nothing_is_said(tmp_path):
    assert check_container(tmp_path) == []


@pytest.mark.parametrize("mark", [".dockerenv", "run/.containerenv"])
def test_with_the_hosts_namespaces_all_is_visible(tmp_path, mark):
    checks = container(tmp_path, mark=mark)

    assert checks["processes"].status == checks["control groups"].status == "ok"


def test_without_the_hosts_processes_the_flag_is_named(tmp_path):
    checks = container(tmp_path, namespaces=HOST | {"pid": 4026532201})

    assert checks["processes"].status == "missing"
    assert "--pid host" in checks["processes"].advice


@pytest.mark.parametrize(
    ("namespaces", "mounts"),
    [(HOST | {"cgroup": 4026532202}, WHOLE), (HOST, PART), (HOST, "")],
    ids=["own namespace", "part of the tree", "not mounted"],
)
def test_without_the_hosts_control_groups_the_flags_are_named(tmp_path, namespaces, mounts):
    checks = container(tmp_path, namespaces=namespaces, mounts=mounts)

    assert checks["control groups"].status == "limited"
    assert "--cgroupns host" in checks["control groups"].advice


def test_unreadable_namespaces_count_as_hidden(tmp_path):
    checks = container(tmp_path, namespaces={})

    assert checks["processes"].status == "missing"


def test_programs_of_the_host_are_out_of_reach(tmp_path):
    assert "only those of this container" in container(tmp_path)["programs"].found
