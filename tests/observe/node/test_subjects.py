"""Which processes of a node belong to the run."""

import pytest

from runner.core.codes import Role
from runner.core.facts import Window
from runner.core.observed_facts import PlacedPart
from runner.observe.node.messages import ObserveOrder
from runner.observe.node.subjects import subjects_of
from runner.observe.roots import Roots, observing

FIB_TRIE = "Main:\n  +-- 0.0.0.0/0 3 0 5\n        |-- {address}\n           /32 host LOCAL\n"


def add_process(proc, pid: int, name: str, *words: str, address: str = "") -> None:
    folder = proc / str(pid)
    (folder / "net").mkdir(parents=True)
    numbers = " ".join(["0"] * 60)
    (folder / "stat").write_text(f"{pid} ({name}) S 1 {numbers}\n")
    (folder / "comm").write_text(f"{name}\n")
    (folder / "cmdline").write_bytes(b"\0".join(word.encode() for word in (name, *words)) + b"\0")
    (folder / "cgroup").write_text(f"0::/docker/container-of-{pid}\n")
    (folder / "net" / "fib_trie").write_text(FIB_TRIE.format(address=address))


def proxy(address: str) -> tuple[str, ...]:
    return ("-proto", "tcp", "-host-port", "30000", "-container-ip", address, "-container-port", "8080")


@pytest.fixture
def proc(tmp_path):
    """A node with a container of the run, and a docker-proxy for it and for another container."""
    add_process(tmp_path, 1, "init")
    add_process(tmp_path, 40, "python3", address="172.18.0.3")
    add_process(tmp_path, 50, "docker-proxy", *proxy("172.18.0.3"))
    add_process(tmp_path, 51, "docker-proxy", *proxy("172.18.0.33"))
    add_process(tmp_path, 52, "docker-proxy", "-container-ip")
    add_process(tmp_path, 60, "python3", "-P", "-m", "runner.cluster.hub", "run-2")
    add_process(tmp_path, 61, "python3", "-P", "-m", "runner.cluster.hub", "run-1")
    (tmp_path / "self").symlink_to("1")
    return tmp_path


def test_a_docker_proxy_is_the_forwarder_of_the_part_that_it_forwards_to(proc):
    part = PlacedPart("app", Role.APP, "node-1", "container-of-40", 40, (8080,))
    order = ObserveOrder(Window(0, 1, 2), 1.0, "run-1", (part,))

    with observing(Roots(str(proc), str(proc), are_foreign=True)):
        subjects, unreadable = subjects_of(order)

    assert unreadable == ()
    forwarders = [subject for subject in subjects if subject.role == Role.FORWARDER]
    assert [(one.name, one.kind, one.pid) for one in forwarders] == [("docker-proxy", "process", 50)]


def test_the_hub_of_another_run_on_the_node_is_no_part_of_this_one(proc):
    with observing(Roots(str(proc), str(proc), are_foreign=True)):
        subjects, _ = subjects_of(ObserveOrder(Window(0, 1, 2), 1.0, "run-1"))

    hubs = [subject for subject in subjects if subject.name.startswith("hub")]
    assert [(one.name, one.role, one.pid) for one in hubs] == [("hub", Role.RUNNER, 61)]
