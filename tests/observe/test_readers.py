"""Readers against processes that measure themselves."""

import os
import select
import subprocess
import sys
import time

import pytest

from runner.core.codes import Role
from runner.core.observed_facts import Subject
from runner.observe.processes import start_ticks, with_descendants
from runner.observe.readers import ProcessReader, SystemReader, TreeReader, reader_for

BURN = """
import sys, time
def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
"""


def python(code: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", BURN + code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen) -> None:
    process.stdin.close()
    process.stdout.close()
    process.wait(timeout=10)


def test_the_cpu_of_a_process_equals_its_own_measurement_within_one_percent():
    process = python("""
print(time.process_time(), flush=True)
sys.stdin.readline()
for _ in range(100):
    burn(0.003)
    time.sleep(0.001)
print(time.process_time(), flush=True)
sys.stdin.readline()
""")
    reader = ProcessReader(process.pid)
    own_before = float(process.stdout.readline())
    before = reader.read().cpu_s
    print(file=process.stdin, flush=True)
    own = float(process.stdout.readline()) - own_before

    measured = reader.read().cpu_s - before
    finish(process)

    assert measured == pytest.approx(own, rel=0.01)


def test_a_tree_counts_living_and_ended_children():
    process = python("""
import subprocess
child = "import time\\nend = 0.15\\nwhile time.process_time() < end: pass\\n"
print(flush=True)
sys.stdin.readline()
for _ in range(4):
    subprocess.run([sys.executable, "-c", child])
waits = child + "print(flush=True)\\ninput()"
lasting = subprocess.Popen([sys.executable, "-c", waits], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
lasting.stdout.readline()
print(flush=True)
sys.stdin.readline()
lasting.communicate(b"\\n")
""")
    reader = TreeReader(process.pid)
    process.stdout.readline()
    before = reader.read().cpu_s
    print(file=process.stdin, flush=True)
    seen = []
    deadline = time.monotonic() + 30
    while not select.select([process.stdout], [], [], 0.02)[0] and time.monotonic() < deadline:
        seen.append(reader.read().cpu_s)

    used = reader.read().cpu_s - before
    finish(process)

    assert used == pytest.approx(5 * 0.15, rel=0.15)
    assert used >= 5 * 0.15 - 0.02
    assert seen == sorted(seen)


def test_a_tree_keeps_the_time_of_a_child_that_another_parent_adopted():
    process = python("""
import os
if os.fork() == 0:
    if os.fork() == 0:
        burn(0.2)
        print(flush=True)
        time.sleep(30)
    sys.stdin.readline()
    os._exit(0)
os.wait()
print(flush=True)
sys.stdin.readline()
""")
    reader = TreeReader(process.pid)
    process.stdout.readline()
    before = reader.read().cpu_s
    *_, orphan = with_descendants([process.pid])
    print(file=process.stdin, flush=True)
    process.stdout.readline()

    after = reader.read().cpu_s
    os.kill(orphan, 9)
    finish(process)

    assert before >= 0.2
    assert after >= before


def test_the_memory_of_a_tree_includes_its_children():
    process = python("""
import subprocess
child = subprocess.Popen([sys.executable, "-c", "x = bytes(1) * 50_000_000; print(flush=True); input()"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print(flush=True)
sys.stdin.readline()
child.communicate(b"\\n")
""")
    process.stdout.readline()

    alone = ProcessReader(process.pid).read().rss_bytes
    together = TreeReader(process.pid).read().rss_bytes
    finish(process)

    assert together - alone > 50_000_000


def test_the_host_is_busy_at_least_as_long_as_a_process_that_burns():
    reader = SystemReader()
    began = time.monotonic()
    before, own = reader.read().cpu_s, time.process_time()
    end = time.process_time() + 0.5
    while time.process_time() < end:
        pass

    seen, burned = reader.read().cpu_s - before, time.process_time() - own

    took_s = time.monotonic() - began
    assert burned * 0.97 - 0.02 <= seen <= os.cpu_count() * (took_s + 0.1)


def test_a_process_that_has_ended_is_not_read_as_zero():
    process = python("")
    finish(process)

    reading = ProcessReader(process.pid).read()

    assert (reading.cpu_s, reading.rss_bytes) == (None, None)


def test_another_process_with_a_reused_pid_is_not_watched():
    own = os.getpid()

    assert reader_for(Subject("app", Role.APP, "tree", own, start_ticks(own))) is not None
    assert reader_for(Subject("app", Role.APP, "tree", own, start_ticks(own) - 1)) is None
