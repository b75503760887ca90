"""Counters over a window, against processes and sockets of known state."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from runner.core.codes import Role
from runner.core.facts import Window
from runner.core.observed_facts import Subject
from runner.observe.counters import host
from runner.observe.counters.conntrack import parse_conntrack
from runner.observe.counters.files import read_files
from runner.observe.counters.gather import Counters
from runner.observe.counters.interfaces import read_cards, read_interfaces
from runner.observe.counters.level import Level, gauge
from runner.observe.counters.listeners import Listeners
from runner.observe.counters.memory import read_group_memory
from runner.observe.counters.network import read_tcp
from runner.observe.counters.page_watch import Pages
from runner.observe.counters.ports import Ports
from runner.observe.counters.series import Readings, When
from runner.observe.counters.sources import sources_for
from runner.observe.counters.threads import Switches, Threads
from runner.observe.processes import start_ticks
from runner.observe.roots import Roots, observing

ME = Subject("app", Role.APP, "process", os.getpid(), start_ticks(os.getpid()))


def as_subject(pid, name="app", role=Role.APP, kind="tree"):
    return Subject(name, role, kind, pid, start_ticks(pid))


@contextlib.contextmanager
def running(code, *words):
    process = subprocess.Popen(
        [*words, sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stdin.close()


@contextlib.contextmanager
def crowded(clients):
    """A listener that accepts no connection, with a backlog of 1, and that many clients."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1))
        for _ in range(clients):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        time.sleep(0.05)
        yield listener.getsockname()[1]


def window(seconds):
    start = time.monotonic_ns()
    return Window(start, start, start + round(seconds * 1e9))


async def watched(subjects, seconds=0.2, **urls):
    counters = Counters(subjects, window(seconds), Pages(urls.get("metrics", {}), urls.get("status", {})))
    await counters.watch()
    return {(counter.scope, counter.name): counter for counter in counters.readable}, counters.unreadable


def test_an_accept_queue_has_its_length_and_its_limit():
    source = Listeners("net:host", os.getpid(), (os.getpid(),))
    with crowded(4) as port, contextlib.closing(source):
        queue = source.read()[f"tcp.accept_queue.{port}"]

    assert (queue.value, queue.limit, queue.kind) == (2, 1, "gauge")  # the kernel lets one more in


def test_an_accept_queue_has_its_average_length_and_keeps_its_limit():
    listeners = Listeners("net:host", os.getpid(), (os.getpid(),))
    readings = Readings()
    with crowded(4) as port, contextlib.closing(listeners):
        name = f"tcp.accept_queue.{port}"
        readings.add("net:host", "tcp", {name: gauge(0, "connections", 1)}, When.BEGIN)
        for when in When.BETWEEN, When.END:
            readings.add("net:host", "tcp", listeners.read(), when)
        readings.set_averages("net:host", listeners.over_all())

    (queue,) = [it for it in readings.conclude()[0] if it.name == name]
    assert (queue.before, queue.after, queue.peak, queue.limit) == (0, 2, 2, 1)


def test_only_the_subjects_own_listeners_are_read():
    with crowded(1) as port, running("print('up', flush=True); input()") as (other, _):
        source = Listeners("net:host", os.getpid(), (other.pid,))
        with contextlib.closing(source):
            assert f"tcp.accept_queue.{port}" not in source.read()


def test_an_overflow_of_an_accept_queue_is_counted():
    before = read_tcp(os.getpid())
    with crowded(6):
        after = read_tcp(os.getpid())

    assert after["tcp.listen_overflows"].value > before["tcp.listen_overflows"].value


def test_bytes_over_loopback_are_counted_once_and_as_no_bytes_of_a_card():
    before, cards = (read(os.getpid()) for read in (read_interfaces, read_cards))
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
        listener.accept()[0] as server,
    ):
        client.sendall(b"x" * 100_000)
        client.shutdown(socket.SHUT_WR)
        while server.recv(65_536):
            pass
    after = read_interfaces(os.getpid())

    assert after["net.lo.bytes"].value - before["net.lo.bytes"].value >= 100_000
    assert cards.keys() == before.keys()
    assert all(cards[name].value <= after[name].value for name in after)


NET_DEV = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    7000      10    0    0    0     0          0         0     7000      10    0    0    0     0       0          0
  eth0:     100       1    0    0    0     0          0         0       10       1    0    0    0     0       0          0
 veth1:    2000       1    0    0    0     0          0         0      200       1    0    0    0     0       0          0
docker0:30000       1    0    0    0     0          0         0     3000       1    0    0    0     0       0          0
"""  # noqa: E501


@pytest.mark.parametrize(
    ("links", "received", "sent"),
    [
        (["eth0/device", "veth1/master", "docker0/bridge"], 100, 10),
        (["eth0/device", "eth0/master", "veth1/master", "docker0/bridge"], 100, 10),
        (["veth1/master", "docker0/bridge"], 100, 10),
        ([], 32_100, 3210),
    ],
    ids=["a card", "a card in a bridge", "no card", "no card and no bridge"],
)
def test_a_packet_through_a_bridge_counts_at_the_card_alone(tmp_path, links, received, sent):
    (tmp_path / "proc/1/net").mkdir(parents=True)
    (tmp_path / "proc/1/net/dev").write_text(NET_DEV)
    for link in links:
        (tmp_path / "sys/class/net" / link).mkdir(parents=True)

    with observing(Roots(str(tmp_path / "proc"), str(tmp_path / "sys"))):
        cards, all_of_them = read_cards(1), read_interfaces(1)

    assert {name: level.value for name, level in cards.items()} == {
        "net.received_bytes": received, "net.sent_bytes": sent, "net.lo.bytes": 7000
    }  # fmt: skip
    assert all_of_them["net.received_bytes"].value == 32_100


@pytest.mark.skipif(os.geteuid() != 0 and not os.environ.get("CI"), reason="namespaces need root")
def test_another_network_namespace_is_read_from_outside():
    code = """
import fcntl, socket, struct, sys
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14s", b"lo", 1, b""))
listener = socket.create_server(("127.0.0.1", 4321), backlog=1)
clients = [socket.socket() for _ in range(6)]
for client in clients:
    client.setblocking(False)
    client.connect_ex(("127.0.0.1", 4321))
print("up", flush=True)
sys.stdin.read()
"""
    with running(code, shutil.which("unshare"), "--net") as (process, _):
        inside = as_subject(process.pid)
        levels = {}
        for source in sources_for([inside]):
            if source.scope == "net:app":
                levels |= source.read()
                if isinstance(source, Listeners | Ports):
                    source.close()

    assert levels["tcp.accept_queue.4321"].value == 2
    assert levels["tcp.listen_overflows"].value > 0
    assert levels["net.lo.bytes"].value > 0
    assert levels["net.received_bytes"].value == 0


def test_subjects_in_one_namespace_are_read_once():
    scopes = [
        (source.scope, source.family) for source in sources_for([ME, as_subject(os.getppid(), "other")])
    ]

    assert len(scopes) == len(set(scopes))
    assert ("net:host", "tcp") in scopes


def cpu_s(pid):
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def test_the_busiest_thread_is_measured_alone():
    code = """
import threading, time
threading.Thread(target=time.sleep, args=[60], daemon=True).start()
print("up", flush=True)
while True: pass
"""
    with running(code) as (process, _):
        threads = Threads(as_subject(process.pid))
        used, began = cpu_s(process.pid), time.monotonic()
        threads.read()
        time.sleep(0.3)
        levels = threads.read()
        cores = (cpu_s(process.pid) - used) / (time.monotonic() - began)

    assert levels["threads.count"].value == 2
    assert threads.over_all()["threads.hottest_cores"].value == pytest.approx(cores, rel=0.1, abs=0.1)
    assert levels["threads.hottest_cores"].limit == 1.0


def test_the_threads_of_a_process_are_measured_together_as_well():
    code = """
import threading
def burn():
    while True: pass
threading.Thread(target=burn, daemon=True).start()
print("up", flush=True)
burn()
"""
    with running(code) as (process, _):
        threads = Threads(as_subject(process.pid))
        used, began = cpu_s(process.pid), time.monotonic()
        threads.read()
        time.sleep(0.3)
        threads.read()
        cores = (cpu_s(process.pid) - used) / (time.monotonic() - began)

    levels = threads.over_all()
    assert levels["threads.hottest_process_cores"].value == pytest.approx(cores, rel=0.1, abs=0.1)
    assert levels["threads.hottest_cores"].value < levels["threads.hottest_process_cores"].value


def test_waits_for_a_processor_are_counted_of_all_threads_together():
    code = """
import ctypes, os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
def work():
    while True: os.getpid()
for _ in range(2):
    if not os.fork():
        ctypes.CDLL(None).prctl(1, 9)  # it ends with its parent
        work()
print("up", flush=True)
work()
"""
    with running(code) as (process, _):
        threads = Threads(as_subject(process.pid))
        first = threads.read()["threads.waited_s"].value
        time.sleep(0.6)
        levels = threads.read()

    assert first == 0
    assert levels["threads.waited_s"].value > levels["threads.runnable_share"].value * 0.6
    assert levels["threads.waited_s"].kind == "counter"


def test_open_files_are_counted_against_their_limit():
    before = read_files(ME)["fds.open"]
    with Path(os.devnull).open(), Path(os.devnull).open():
        after = read_files(ME)["fds.open"]

    assert after.value == before.value + 2
    assert after.limit > after.value


def test_counters_of_the_host_are_read():
    levels = host.read_cpus() | host.read_softnet() | host.read_pressure() | host.read_memory()

    assert levels["run_queue"].limit == os.cpu_count()
    assert levels["context_switches"].value > 0
    assert levels["memory.available_bytes"].value < levels["memory.available_bytes"].limit
    assert f"cpu.softirq_s.{(os.cpu_count() or 1) - 1}" in levels
    assert levels["softnet.dropped"].value >= 0


def test_context_switches_of_a_process_are_counted():
    switches = Switches(ME)
    before = switches.read()["ctx.voluntary"].value
    time.sleep(0.01)

    assert switches.read()["ctx.voluntary"].value > before


def test_context_switches_of_threads_that_ended_stay_counted():
    switches, ready, end = Switches(ME), threading.Event(), threading.Event()

    def wait_often():
        for _ in range(200):
            time.sleep(0.0001)
        ready.set()
        end.wait()

    before = switches.read()["ctx.voluntary"].value
    thread = threading.Thread(target=wait_often)
    thread.start()
    ready.wait()
    alive = switches.read()["ctx.voluntary"].value
    end.set()
    thread.join()

    assert alive >= before + 200
    assert switches.read()["ctx.voluntary"].value >= alive


def test_a_child_that_ends_between_two_readings_takes_no_context_switches_away():
    switches = Switches(as_subject(os.getpid()))
    with running("print(flush=True); input()"):
        before = switches.read()
    after = switches.read()

    assert all(after[name].value >= before[name].value for name in after)


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"memory.current": "900", "memory.max": "1000", "memory.events": "low 0\nmax 7\noom_kill 1"}, 1000),
        ({"memory.current": "900", "memory.max": "max", "memory.events": "low 0\nmax 7\noom_kill 1"}, None),
        (
            {"memory.usage_in_bytes": "900", "memory.limit_in_bytes": "1000", "memory.failcnt": "3",
             "memory.memsw.failcnt": "4",
             "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1"},
            1000,
        ),
        (
            {"memory.usage_in_bytes": "900", "memory.limit_in_bytes": "9223372036854771712",
             "memory.failcnt": "7", "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1"},
            None,
        ),
    ],
    ids=["version 2", "version 2 without a limit", "version 1", "version 1 without a limit"],
)  # fmt: skip
def test_memory_of_a_group_is_read_in_both_versions(tmp_path, files, limit):
    for name, content in files.items():
        (tmp_path / name).write_text(content + "\n")
    (tmp_path / "memory.stat").write_text("cache 800\ninactive_file 600\ntotal_inactive_file 600\n")

    levels = read_group_memory(tmp_path)

    assert levels["memory.usage_bytes"].value == 900
    assert levels["memory.usage_bytes"].limit == limit
    working = levels["memory.working_set_bytes"]
    assert (working.value, working.limit) == (300, limit)
    assert (levels["memory.limit_hits"].value, levels["memory.oom_kills"].value) == (7, 1)


def test_a_connection_table_is_summed_over_processors():
    text = "entries searched drop early_drop insert_failed\n0000000a 0 1 0 2\n0000000a 0 f 1 0\n"

    levels = parse_conntrack(text, 64)

    assert {name: level.value for name, level in levels.items()} == {
        "conntrack.drop": 16, "conntrack.early_drop": 1, "conntrack.insert_failed": 2, "conntrack.count": 10
    }  # fmt: skip
    assert levels["conntrack.count"].limit == 64


async def test_a_window_has_every_counter_at_both_ends():
    counters, _ = await watched([ME])

    switches = counters["host", "context_switches"]
    assert switches.after > switches.before
    assert counters["app", "threads.hottest_cores"].peak is not None
    assert counters["net:host", "ports.in_use"].limit > 1000


async def test_a_page_that_does_not_respond_is_unreadable_and_not_zero():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    counters, unreadable = await watched([ME], status={"nginx": f"http://127.0.0.1:{port}/"})

    assert ("nginx", "nginx.accepts") not in counters
    (fault,) = [fault for fault in unreadable if fault.scope == "nginx"]
    assert "could not be read" in fault.reason


async def test_the_reason_names_a_process_that_has_ended():
    with running("print('up', flush=True); input()") as (process, _):
        gone = as_subject(process.pid)

    counters, unreadable = await watched([gone])

    assert not [key for key in counters if key[0] == "app"]
    assert {(fault.name, fault.reason) for fault in unreadable if fault.scope == "app"} >= {
        ("threads", "its process has ended")
    }


async def test_a_counter_that_decreases_is_listed_and_not_used(tmp_path, monkeypatch):
    values = iter([100, 40, 40, 40])
    monkeypatch.setattr(host, "read_softnet", lambda: {"softnet.dropped": Level(next(values))})

    counters, unreadable = await watched([])

    assert ("host", "softnet.dropped") not in counters
    (fault,) = [fault for fault in unreadable if fault.name == "softnet.dropped"]
    assert "decreased" in fault.reason
