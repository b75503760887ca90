"""Programs outside the experiment: their names, their CPU, and which processes are not among them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import trio

from runner.core.codes import Role
from runner.core.facts import Window
from runner.core.observed_facts import KERNEL_THREADS, Program, Subject
from runner.core.units import NS_PER_S
from runner.observe.processes import is_kernel_thread, start_ticks
from runner.observe.programs.busiest_thread import BusiestThreads
from runner.observe.programs.by_name import programs
from runner.observe.programs.membership import experiment_of
from runner.observe.programs.process_table import ProcessTable, ProcessUsage
from runner.observe.programs.watch import Programs

_USED_S = 0.3
_SLACK_S = 0.05
_BUSY = """
import ctypes, sys, time
ctypes.CDLL(None).prctl(15, sys.argv[1].encode(), 0, 0, 0)
begin = time.process_time()
sys.stdin.readline()
while time.process_time() < begin + float(sys.argv[2]): pass
print("done", flush=True)
sys.stdin.readline()
"""
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a program with a name; it waits for a line, uses some CPU time, and waits for another line."""
    with ExitStack() as ending:

        def start(name: str, used_s: float = _USED_S) -> subprocess.Popen[str]:
            argv = [sys.executable, "-c", _BUSY, name, str(used_s)]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            process = subprocess.Popen(argv, text=True, start_new_session=True, **pipes)  # type: ignore[call-overload]
            ending.enter_context(process)
            ending.callback(process.kill)
            return process  # type: ignore[no-any-return]

        yield start


def _go(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    assert process.stdout
    print(file=process.stdin, flush=True)
    assert process.stdout.readline() == "done\n"


def _table(*subjects: Subject) -> ProcessTable:
    """Return a table for which this process is a stranger, as any that started the runner."""
    experiment = experiment_of(subjects)
    experiment.runner = 0
    return ProcessTable(experiment)


def _found(
    table: ProcessTable, ports: dict[int, int], threads: BusiestThreads | None = None
) -> tuple[Program, ...]:
    """Return the programs as if the readings were a second apart, however busy this machine is."""
    table.begin_s = table.end_s - 1.0
    return programs(table, threads or BusiestThreads(), ports)


def _usage(table: ProcessTable, pid: int) -> ProcessUsage | None:
    return next((usage for usage in table.usages() if usage.pid == pid), None)


def _subject(process: subprocess.Popen[str]) -> Subject:
    return Subject("app", Role.APP, "tree", process.pid, start_ticks(process.pid))


def test_a_program_outside_is_named_with_the_cpu_it_used_in_the_window(start: Start) -> None:
    stranger = start("stranger")
    table = _table()
    table.read()
    _go(stranger)
    table.read()
    usage = _usage(table, stranger.pid)
    assert usage
    assert usage.name == "stranger"
    assert usage.used_s == pytest.approx(_USED_S, abs=_SLACK_S)


def test_a_process_that_starts_in_the_window_counts_from_its_start_and_stays_when_it_ends(
    start: Start,
) -> None:
    table = _table()
    table.read()
    late = start("late")
    _go(late)
    table.read()
    late.kill()
    late.wait()
    table.read()
    usage = _usage(table, late.pid)
    assert usage
    assert usage.name == "late"
    assert usage.used_s >= _USED_S


def test_what_belongs_to_the_experiment_is_not_outside_it(start: Start) -> None:
    app = start("app")
    table = _table(_subject(app))
    table.read()
    _go(app)
    table.read()
    assert _usage(table, app.pid) is None
    assert table.experiment.includes(os.getpid())


def test_what_the_runner_started_is_no_stranger_but_may_serve_the_app(start: Start) -> None:
    database = start("database")
    table = ProcessTable(experiment_of(()))
    table.read()
    _go(database)
    table.read()
    names = {program.name for program in _found(table, {})}
    assert "database" not in names
    serving = _found(table, {database.pid: 5432})
    (program,) = (program for program in serving if program.name == "database")
    assert program.serves
    assert program.cores * table.length_s == pytest.approx(_USED_S, abs=_SLACK_S)


def test_threads_of_the_kernel_are_one_program_and_no_other_has_its_name(start: Start) -> None:
    pretender = start(KERNEL_THREADS)
    table = _table()
    table.read()
    _go(pretender)
    table.read()
    usage = _usage(table, pretender.pid)
    assert usage
    assert usage.name != KERNEL_THREADS
    assert not is_kernel_thread(pretender.pid)
    assert is_kernel_thread(2) or not os.path.exists("/proc/2")  # noqa: PTH110  (a container has none)


def test_the_busiest_thread_of_a_program_with_one_thread_used_all_its_cpu(start: Start) -> None:
    stranger = start("stranger")
    table, threads = _table(), BusiestThreads()
    table.read()
    _go(stranger)
    table.read()
    threads.read([stranger.pid], again=True)
    found = _found(table, {}, threads)
    program = next(program for program in found if program.name == "stranger")
    assert program.busiest_thread == pytest.approx(program.cores, abs=0.001)


def test_processes_of_one_name_are_one_program_and_the_busiest_comes_first(start: Start) -> None:
    less, more = start("pool", 0.2), start("pool", 0.4)
    table = _table()
    table.read()
    _go(less)
    _go(more)
    table.read()
    program = next(p for p in _found(table, {}) if p.name == "pool")
    assert program.pids == (more.pid, less.pid)
    assert program.cores * table.length_s == pytest.approx(0.6, abs=2 * _SLACK_S)


def test_a_program_that_serves_the_app_is_apart_from_another_of_its_name(start: Start) -> None:
    serving, other = start("redis"), start("redis")
    table = _table()
    table.read()
    _go(serving)
    _go(other)
    table.read()
    found = [p for p in _found(table, {serving.pid: 6379}) if p.name == "redis"]
    assert {(p.pids, p.serves, p.port) for p in found} == {
        ((serving.pid,), True, 6379),
        ((other.pid,), False, None),
    }


def test_a_trial_names_programs_and_leaves_out_what_the_runner_started(start: Start) -> None:
    """`start` makes children of this process, which is the runner here."""
    begin_ns = time.monotonic_ns()
    found = Programs((), Window(begin_ns, begin_ns, begin_ns + NS_PER_S // 10))
    own = start("own")

    async def watch() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(found.watch)
            await trio.to_thread.run_sync(_go, own)

    trio.run(watch)
    assert all(isinstance(program, Program) for program in found.found({}))
    assert "own" not in {program.name for program in found.found({})}


def test_a_watch_that_is_cancelled_tells_what_it_saw(start: Start) -> None:
    stranger = start("stranger")
    begin_ns = time.monotonic_ns()
    observed = Programs((), Window(begin_ns, begin_ns, begin_ns + 60 * NS_PER_S))

    async def watch() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(observed.watch)
            await trio.sleep(0.05)
            await trio.to_thread.run_sync(_go, stranger)
            nursery.cancel_scope.cancel()

    trio.run(watch)
    assert observed._table
    assert observed._table.length_s > 0
    assert _usage(observed._table, stranger.pid)


_HIDDEN = """
import os, subprocess
from runner.core.facts import Window
from runner.observe.programs.watch import Programs
subprocess.run(["mount", "-t", "proc", "-o", "hidepid=2", "proc", "/proc"], check=True)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print(Programs((), Window(0, 0, 0)).notes())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_note_says_that_processes_of_other_users_are_hidden() -> None:
    argv = ["unshare", "--mount", sys.executable, "-c", _HIDDEN]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False)
    if "permission denied" in ended.stderr.lower():
        pytest.skip("no mount namespaces here")
    assert "hidepid" in ended.stdout, ended.stderr
