"""What an agent sees of its node without privileges, with other process numbers, from mounts of its own."""

import os
import secrets
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest

from tests.observe.node.box import group_of, move_into, observed_from_a_box

ROOT = pytest.mark.skipif(os.geteuid() != 0 and not os.environ.get("CI"), reason="needs root")

APP = """
import socket, subprocess, sys, time
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
input()  # until it is in its control group
listener = socket.create_server(("127.0.0.1", 8080), backlog=7)
waiting = [socket.create_connection(("127.0.0.1", 8080)) for _ in range(3)]
block = bytes(range(256)) * 4096 * 20  # 20 MiB
while time.process_time() < 0.1:
    pass
print("up", flush=True)
sys.stdin.read()
"""
SPINS = "while True: pass"


@contextmanager
def process(*command, **options):
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)
    try:
        yield running
    finally:
        running.kill()
        running.wait()
        running.stdin.close()
        running.stdout.close()


@contextmanager
def app_in(group):
    """An app in a network of its own and in a control group."""
    with process("unshare", "--net", sys.executable, "-c", APP) as app, group_of(group, app.pid) as folders:
        app.stdin.write(b"\n")
        app.stdin.flush()
        assert app.stdout.readline() == b"up\n"
        yield app, folders
        app.kill()
        app.wait()


def part(name, pid, container_id, **more):
    return {"name": name, "role": name, "node": "node-1", "container_id": container_id, "pid": pid, **more}


def used_s(folders):
    """Return the CPU that a control group has used, as root reads it here."""
    for folder in folders:
        if (usage := folder / "cpuacct.usage").exists():
            return int(usage.read_text()) / 1e9
    text = (folders[0] / "cpu.stat").read_text().split()
    return int(text[text.index("usage_usec") + 1]) / 1e6


@ROOT
def test_an_agent_without_privileges_reads_its_node(tmp_path):
    container, other = secrets.token_hex(32), secrets.token_hex(32)
    stranger = tmp_path / "lp-stranger"
    stranger.symlink_to(sys.executable)
    with ExitStack() as stack:
        app, folders = stack.enter_context(app_in(container))
        spinning = stack.enter_context(process(stranger, "-c", SPINS))
        placed = [
            part("app", app.pid, container, ports=[8080]),
            part("db", spinning.pid, other),
            part("cache", 4_000_000, other),
        ]
        before_s = used_s(folders)
        samples, facts = observed_from_a_box(placed, 1.5)
        after_s = used_s(folders)

    engine = {one["name"] for one in facts["subjects"] if one["role"] == "daemon"}
    assert len(samples) == 7
    for sample in samples:
        assert before_s <= sample["cpu_s"]["app"] <= after_s
        assert 0.1 <= sample["cpu_s"]["generator-1"] < 0.2
        assert sample["rss_bytes"]["app"] > 20 * 2**20
        assert sample["cpu_s"].keys() - engine == {"app", "generator-1", "agent", "system"}
    assert before_s > 0.05  # it had used the rest when it came into the group
    counters = {(one["scope"], one["name"]): one for one in facts["counters"]}
    assert counters["net:app", "tcp.accept_queue.8080"]["after"] == 3
    assert counters["net:app", "tcp.in_use"]["after"] >= 4
    assert counters["app", "threads.count"]["after"] == 1
    assert counters["app", "threads.allowed_cpus"]["after"] == len(os.sched_getaffinity(0))
    assert ("host", "cpu.softirq_s") in counters
    assert ("net:host", "tcp.retransmits") in counters
    assert counters["net:generator-1", "ports.in_use"]["after"] == 0
    assert not {scope for scope, _ in counters} & {"db", "cache"}
    unreadable = {(one["scope"], one["name"]): one["reason"] for one in facts["unreadable"]}
    assert unreadable["net:app", "tcp.listener_drops"] == "not permitted"
    assert unreadable["db", "cpu"] == "its process is in no control group of its container"
    assert unreadable["cache", "cpu"] == "its process has ended, or has another number on this node"
    programs = {one["name"]: one for one in facts["programs"]}
    assert programs["lp-stranger"]["pids"] == [spinning.pid]
    assert programs["lp-stranger"]["cores"] > 0


@ROOT
def test_a_container_is_found_by_its_id_where_control_groups_have_a_namespace():
    container = secrets.token_hex(32)
    above = f"lp-test-{container[:8]}.slice"
    with (
        group_of(above),
        app_in(f"{above}/docker-{container}.scope") as (app, folders),
        group_of(f"{above}/agent") as own,
    ):
        in_namespace = [*move_into(own), "unshare", "--cgroup"]
        before_s = used_s(folders)
        samples, facts = observed_from_a_box([part("app", app.pid, container)], 0.5, before=in_namespace)
        after_s = used_s(folders)

    assert all(before_s <= sample["cpu_s"]["app"] <= after_s for sample in samples)
    assert samples
    assert {(one["scope"], one["name"]) for one in facts["counters"]} >= {("app", "memory.usage_bytes")}
    assert not [one for one in facts["unreadable"] if one["name"] == "cpu"]
