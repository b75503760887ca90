"""CPU of processes that leave their parent, or whose parent never waits, against a known amount of CPU."""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner.core.codes import Role
from runner.core.facts import Window
from runner.core.observed_facts import Subject
from runner.observe.cgroups import control_group_of, group_pids
from runner.observe.counters.members import processes
from runner.observe.processes import name_of, resident_bytes, start_ticks
from runner.observe.readers import GroupReader, TreeReader, reader_for
from runner.observe.sampler import watch
from runner.stack import supervisor_process

ROOTS = {
    "hybrid": "/sys/fs/cgroup/unified",
    "version 2": "/sys/fs/cgroup",
    "version 1": "/sys/fs/cgroup/cpuacct",
}
HIERARCHIES = {name: Path(root) for name, root in ROOTS.items() if (Path(root) / "cgroup.procs").exists()}
"""Those that this host has: every host has one of them that counts CPU."""
BEGIN = """
import os, signal, subprocess, sys, time
def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
def fork(function, *arguments):
    pid = os.fork()
    if pid == 0:
        function(*arguments)
        os._exit(0)
    return pid
def daemonize(function, *arguments):
    "As daemon(3) does: two forks and a session in between."
    def middle():
        os.setsid()
        fork(function, *arguments)
    os.waitpid(fork(middle), 0)
ended, running = os.pipe()
def wait_for_all():
    "Return when every process that was forked has ended: each holds the other end of the pipe."
    os.close(running)
    os.read(ended, 1)
print("up", flush=True)
sys.stdin.readline()
"""
END = """
time.sleep(0.3)
print("done", flush=True)
sys.stdin.readline()
"""
DAEMON = "daemonize(burn, 0.6)\nwait_for_all()\n"
ORPHAN_IN_SESSION = """
def late():
    time.sleep(2)  # a tree without a supervisor looks through its session once a second
    burn(0.6)
def middle():
    fork(late)
os.waitpid(fork(middle), 0)
wait_for_all()
"""
UNWAITED = """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in range(6):
    fork(burn, 0.1)
    time.sleep(0.06)
wait_for_all()
"""
SHORT_LIVED = """
for _ in range(10):
    os.waitpid(fork(burn, 0.06), 0)
"""
WORKERS = """
pids = [fork(burn, 0.2) for _ in range(3)]
for pid in pids:
    os.waitpid(pid, 0)
"""
WAYS = {
    "twice forked": DAEMON,
    "orphan in the session": ORPHAN_IN_SESSION,
    "ignored children": UNWAITED,
    "short-lived children": SHORT_LIVED,
    "workers": WORKERS,
}
BURNED_S = 0.6


def is_counted_once(used_s: float, burned_s: float = BURNED_S) -> bool:
    """Whether all CPU that was burned is counted, once, with what it costs this machine to fork."""
    return 0.95 * burned_s <= used_s <= 1.6 * burned_s


def wait_for(process, word):
    assert process.stdout.readline().strip() == word


@contextlib.contextmanager
def program(code, group=None, supervised=False):
    """Start a program in a session of its own; in a control group, or below a supervisor, if asked for."""
    enter = f"open({str(group)!r} + '/cgroup.procs', 'w').write('0')\n" if group else ""
    if supervised:
        enter += f"""
import ctypes, os, time
libc = ctypes.CDLL(None)
libc.prctl(15, b"{supervisor_process.NAME}", 0, 0, 0)
libc.prctl(36, 1, 0, 0, 0)
child = os.fork()
if child:
    os.write(2, b"%d\\n" % child)
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            os._exit(0)
os.setsid()
libc.prctl(15, b"python", 0, 0, 0)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", enter + BEGIN + code + END],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        wait_for(process, "up")
        yield process, int(process.stderr.readline()) if supervised else process.pid
    finally:
        with contextlib.suppress(BrokenPipeError):
            process.communicate("\n", timeout=10)


def measured(reader, process, every_s=0.1):
    """Return the CPU that a reader saw while the program ran, read about every tenth of a second."""
    before = reader.read().cpu_s
    print(file=process.stdin, flush=True)
    end = time.monotonic() + 20
    os.set_blocking(process.stdout.fileno(), False)
    seen = []
    while time.monotonic() < end and not process.stdout.readline().strip():
        seen.append(reader.read().cpu_s)
        time.sleep(every_s)
    os.set_blocking(process.stdout.fileno(), True)
    used = reader.read().cpu_s
    assert seen == sorted(seen)
    return used - before


@pytest.fixture(params=HIERARCHIES.values(), ids=HIERARCHIES)
def own_group(request):
    """A control group that only counts, as `runner.stack` makes one; in each version that this host has."""
    group = request.param / f"loadproof-observe-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    yield group
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for pid in (group / "cgroup.procs").read_text().split():
            if pid != "0":  # a process that is ending; kill(0) would end the tests themselves
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        with contextlib.suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.05)


@pytest.mark.parametrize(("way", "kind"), list(zip(WAYS, itertools.cycle(["cgroup", "tree"]), strict=False)))
def test_a_control_group_counts_every_process_once(own_group, way, kind):
    with program(WAYS[way], own_group) as (process, pid):
        reader = reader_for(Subject("app", Role.APP, kind, pid, start_ticks(pid)))

        assert isinstance(reader, GroupReader)
        assert is_counted_once(measured(reader, process))
        assert reader.read().rss_bytes > 5_000_000
        assert reader.uncounted() == ()


ESCAPE = """
def escape(seconds, group):
    open(group + "/cgroup.procs", "w").write("0")
    time.sleep(2)  # it is found within a second
    burn(seconds)
"""


@pytest.mark.parametrize("way", ["child", "twice forked", "root"])
def test_a_process_that_leaves_the_control_group_is_counted_and_named(own_group, way, monkeypatch):
    outside = str(own_group.parent)
    code = {
        "child": f"fork(escape, 0.5, {outside!r})\nwait_for_all()\n",
        "twice forked": f"daemonize(escape, 0.5, {outside!r})\nwait_for_all()\n",
        "root": f"escape(0.5, {outside!r})\n",
    }[way]
    with program(ESCAPE + code, own_group, supervised=True) as (process, pid):
        reader = reader_for(Subject("app", Role.APP, "tree", pid, start_ticks(pid)))

        assert isinstance(reader, GroupReader)
        # Outside of the group it is known up to the last reading before its end.
        assert 0.5 / 2 <= measured(reader, process) <= 1.6 * 0.5
        (phrase,) = reader.uncounted()

    assert phrase.startswith("all of python (process ")
    assert phrase.endswith("), which left the control group of its parent")


def test_the_memory_of_a_supervisor_in_the_group_is_not_the_subjects(own_group):
    with program("", own_group, supervised=True) as (process, pid):
        reader = reader_for(Subject("app", Role.APP, "tree", pid, start_ticks(pid)))

        assert group_pids(reader.group) == {pid, process.pid}
        assert reader.read().rss_bytes == resident_bytes(pid)


@pytest.mark.parametrize("way", ["twice forked", "orphan in the session", "short-lived children", "workers"])
def test_a_tree_below_a_supervisor_counts_every_process_that_was_waited_for(way):
    with program(WAYS[way], supervised=True) as (process, pid):
        reader = reader_for(Subject("app", Role.APP, "tree", pid, start_ticks(pid)))

        assert isinstance(reader, TreeReader)
        assert is_counted_once(measured(reader, process))
        assert reader.uncounted() == ()


@pytest.mark.parametrize("way", ["orphan in the session", "short-lived children", "workers"])
def test_a_tree_that_leads_its_session_counts_orphans_in_it(way):
    with program(WAYS[way]) as (process, pid):
        reader = reader_for(Subject("app", Role.APP, "tree", pid, start_ticks(pid)))

        # An orphan that init reaps is known up to the last reading before its end.
        assert BURNED_S / 2 <= measured(reader, process, every_s=0.02) <= 1.6 * BURNED_S


def test_a_twice_forked_worker_that_was_seen_as_a_child_stays_a_member():
    code = """
def middle():
    time.sleep(0.3)
    os.setsid()
    fork(burn_later)
    time.sleep(0.3)
def burn_later():
    time.sleep(0.5)
    burn(0.6)
os.waitpid(fork(middle), 0)
wait_for_all()
"""
    with program(code) as (process, pid):
        used = measured(TreeReader(pid), process, every_s=0.02)

    assert BURNED_S / 2 <= used <= 1.6 * BURNED_S  # up to the last reading before its end


@pytest.mark.parametrize("supervised", [True, False])
def test_a_process_that_ignores_its_children_is_named(supervised):
    with program(UNWAITED + "time.sleep(1)\n", supervised=supervised) as (process, pid):
        reader = reader_for(Subject("app", Role.APP, "tree", pid, start_ticks(pid)))
        used = measured(reader, process, every_s=0.02)
        (phrase,) = reader.uncounted()

    assert 0 < used <= 1.6 * BURNED_S
    assert phrase.startswith("children of python")
    assert phrase.endswith(f"(process {pid}) that ended between two samples, because nothing waits for them")


async def test_the_note_says_what_the_cpu_of_a_subject_does_not_include():
    with program(UNWAITED) as (process, pid):
        print(file=process.stdin, flush=True)
        time.sleep(0.2)
        start = time.monotonic_ns()
        window = Window(start, start, start + 300_000_000)
        subject = Subject("app", Role.APP, "tree", pid, start_ticks(pid))
        facts = await watch([subject], window, interval=0.1, on_sample=lambda _: None)

    (note,) = facts.notes
    assert note.startswith("the CPU time of app does not include children of python")
    assert note.endswith("that ended between two samples, because nothing waits for them")


def test_threads_files_and_listeners_are_read_of_orphans_too():
    with program("daemonize(time.sleep, 2)\ntime.sleep(0.5)\n", supervised=True) as (process, pid):
        subject = Subject("app", Role.APP, "tree", pid, start_ticks(pid))
        print(file=process.stdin, flush=True)
        time.sleep(0.3)

        assert len(processes(subject)) == 2
        assert process.pid not in processes(subject)


def test_a_group_that_the_runner_is_in_is_not_taken_for_a_subjects_own():
    with program("") as (_, pid):
        group = control_group_of(pid)

        assert {pid, os.getpid()} <= group_pids(group) or group.cpu is None
        assert isinstance(reader_for(Subject("app", Role.APP, "cgroup", pid)), TreeReader)
        assert isinstance(reader_for(Subject("app", Role.APP, "tree", pid)), TreeReader)


def test_a_group_with_strangers_is_not_taken_for_a_trees_own(own_group):
    with program("", own_group) as (_, pid), program("", own_group) as (_, stranger):
        assert group_pids(control_group_of(pid)) == {pid, stranger}
        assert isinstance(reader_for(Subject("app", Role.APP, "tree", pid)), TreeReader)


def test_many_processes_that_ignore_their_children_are_one_entry():
    code = """
def middle():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    time.sleep(1.5)
pids = [fork(middle) for _ in range(5)]
for pid in pids:
    os.waitpid(pid, 0)
"""
    with program(code) as (process, pid):
        name, reader = name_of(pid), TreeReader(pid)
        measured(reader, process)

    (phrase,) = reader.uncounted()
    assert phrase.startswith(f"children of {name} (5 processes) that ended between two samples")
