"""How long threads waited for disks, and the limits of I/O that control groups have."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.core.facts import Window
from runner.core.observed_facts import Subject
from runner.core.units import NS_PER_S
from runner.observe.cgroups import io_folders
from runner.observe.counters import io_limits, io_waits
from runner.observe.counters.io_limits import IoLimits
from runner.observe.counters.io_waits import NAME, IoWaits
from runner.observe.processes import start_ticks

VFORK = """
import ctypes, time
if ctypes.CDLL(None).vfork() == 0:  # its parent cannot be interrupted until this child ends
    print("waits", flush=True)
    time.sleep(60)
"""


def _subject(pid: int) -> Subject:
    return Subject("db", "db", "process", pid, start_ticks(pid))


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The only control group of this process."""
    monkeypatch.setattr(io_limits, "io_folders", lambda _: [tmp_path])
    return tmp_path


def _levels() -> dict[str, tuple[float, str, float | None]]:
    levels = IoLimits(_subject(os.getpid())).read()
    return {name: (it.value, it.unit, it.limit) for name, it in levels.items() if it}


def test_limits_of_version_1_have_what_was_done(limited: Path) -> None:
    (limited / "blkio.throttle.write_iops_device").write_text("7:99 40\n")
    (limited / "blkio.throttle.read_bps_device").write_text("7:99 1048576\n7:98 4096\n")
    (limited / "blkio.throttle.io_serviced_recursive").write_text("7:99 Read 5\n7:99 Write 105\nTotal 110\n")
    (limited / "blkio.throttle.io_service_bytes_recursive").write_text("7:99 Read 8192\nTotal 8192\n")
    assert _levels() == {
        "io.limited.7_99.writes": (105, "writes", 40),
        "io.limited.7_99.read_bytes": (8192, "bytes", 1048576),
        "io.limited.7_98.read_bytes": (0, "bytes", 4096),
    }


def test_limits_of_version_2_have_what_was_done(limited: Path) -> None:
    (limited / "io.max").write_text("7:99 rbps=max wbps=2097152 riops=50 wiops=max\n")
    (limited / "io.stat").write_text("7:98 rbytes=1\n7:99 rbytes=1 wbytes=4096 rios=7 wios=8\n")
    assert _levels() == {
        "io.limited.7_99.written_bytes": (4096, "bytes", 2097152),
        "io.limited.7_99.reads": (7, "reads", 50),
    }


def test_a_group_without_limits_has_no_counters(limited: Path) -> None:
    (limited / "io.max").write_text("")
    (limited / "blkio.throttle.read_bps_device").write_text("")
    assert _levels() == {}


def test_the_lowest_of_the_limits_of_nested_groups_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, bound in (("outer", 10), ("outer/inner", 20)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "io.max").write_text(f"7:99 rbps=max wbps=max riops=max wiops={bound}\n")
        (tmp_path / name / "io.stat").write_text(f"7:99 wios={bound + 1}\n")
    folders = [tmp_path / "outer" / "inner", tmp_path / "outer"]
    monkeypatch.setattr(io_limits, "io_folders", lambda _: folders)
    assert _levels() == {"io.limited.7_99.writes": (11, "writes", 10)}


def test_a_process_is_in_its_groups_up_to_the_root() -> None:
    folders = io_folders(os.getpid())
    assert all(folder.is_dir() for folder in folders)
    assert io_folders(2**22 + 1) == []


@pytest.fixture
def waiting() -> Iterator[int]:
    argv = [sys.executable, "-c", VFORK]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout
        process.stdout.readline()
        yield process.pid
        os.killpg(process.pid, 9)


async def _waited(pid: int, seconds: float = 0.3) -> tuple[float, float]:
    now_ns = time.monotonic_ns()
    window = Window(now_ns, now_ns, now_ns + round(seconds * NS_PER_S))
    waits = IoWaits([_subject(pid)], window)
    await waits.watch()
    part, host = waits.of_part(_subject(pid))[NAME], waits.of_host()[NAME]
    assert part
    assert host
    return part.value, host.value


async def test_a_part_waits_as_long_as_one_of_its_threads_does(
    monkeypatch: pytest.MonkeyPatch, waiting: int
) -> None:
    monkeypatch.setattr(io_waits, "_blocked_threads", lambda: 1)
    part, host = await _waited(waiting)
    assert part == host > 0


async def test_a_part_whose_threads_run_or_sleep_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(io_waits, "_blocked_threads", lambda: 1)
    part, host = await _waited(os.getpid())
    assert part < host


async def test_nothing_waits_while_no_thread_of_the_host_does(
    monkeypatch: pytest.MonkeyPatch, waiting: int
) -> None:
    monkeypatch.setattr(io_waits, "_blocked_threads", lambda: 0)
    assert await _waited(waiting) == (0, 0)


def test_a_part_that_has_ended_has_no_wait() -> None:
    ended = Subject("db", "db", "process", os.getpid(), 1)
    waits = IoWaits([ended], Window(0, 0, NS_PER_S))
    waits.sample(0.1)
    with pytest.raises(ProcessLookupError):
        waits.of_part(ended)
