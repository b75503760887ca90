"""Counters of disks: of the host, of control groups of both versions, and of processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runner.core.codes import Role
from runner.core.observed_facts import Subject
from runner.observe.cgroups import ControlGroup
from runner.observe.counters.disks import read_disks
from runner.observe.counters.io import GroupIo, TreeIo, io_of
from runner.observe.counters.listeners import Listeners
from runner.observe.counters.sources import sources_for
from runner.observe.processes import blocked_seconds, start_ticks

_DISKSTATS = """\
   8       0 sda 10 0 100 0 20 0 200 0 0 1500 0 0 0 0 0 0 0
   8       1 sda1 10 0 100 0 20 0 200 0 0 1500 0 0 0 0 0 0 0
 104       0 cciss/c0d0 1 0 2 0 3 0 4 0 0 5 0
   7       0 loop0 1 0 2 0 3 0 4 0 0 5 0
"""
_WRITER = """
import os, sys
with open(sys.argv[1], "wb") as file:
    file.write(b"x" * int(sys.argv[2])); file.flush(); os.fsync(file.fileno())
print("written", flush=True)
sys.stdin.read()
"""


def _values(levels: object) -> dict[str, float]:
    assert isinstance(levels, dict)
    return {name: level.value for name, level in levels.items()}


def test_a_disk_counts_its_busy_time_and_bytes_and_its_partitions_are_left_out(tmp_path: Path) -> None:
    statistics = tmp_path / "diskstats"
    statistics.write_text(_DISKSTATS)
    for name in ("sda", "cciss!c0d0", "loop0"):
        (tmp_path / "block" / name).mkdir(parents=True)
    assert _values(read_disks(statistics, tmp_path / "block")) == {
        "disk.sda.busy_s": 1.5,
        "disk.sda.read_bytes": 51_200,
        "disk.sda.written_bytes": 102_400,
        "disk.cciss_c0d0.busy_s": 0.005,
        "disk.cciss_c0d0.read_bytes": 1_024,
        "disk.cciss_c0d0.written_bytes": 2_048,
    }


def test_the_disks_of_this_host_can_be_read() -> None:
    assert all(level is not None and level.value >= 0 for level in read_disks().values())


def test_a_control_group_of_version_2_counts_its_bytes_and_its_waits(tmp_path: Path) -> None:
    (tmp_path / "io.stat").write_text(
        "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2\n8:16 rbytes=1 wbytes=2\n7:0 \n"
    )
    (tmp_path / "io.pressure").write_text("some avg10=0.00 total=2500000\nfull avg10=0.00 total=1\n")
    source = GroupIo("db", tmp_path)
    assert _values(source.read()) == {"io.read_bytes": 4_097, "io.written_bytes": 8_194, "io.wait_s": 2.5}
    (tmp_path / "io.pressure").unlink()
    assert "io.wait_s" not in source.read()


def test_a_group_that_counts_no_bytes_still_tells_how_long_its_processes_waited(tmp_path: Path) -> None:
    (tmp_path / "io.pressure").write_text("some avg10=0.00 total=2500000\n")
    subject = Subject("db", "db", "tree", os.getpid(), start_ticks(os.getpid()))
    source = io_of(subject, ControlGroup(None, None, None, tmp_path))
    values = _values(source.read())
    assert values.keys() == {"io.read_bytes", "io.written_bytes", "io.wait_s"}
    assert values["io.wait_s"] == 2.5
    (tmp_path / "io.stat").write_text("8:0 rbytes=4096 wbytes=8192\n")
    assert isinstance(io_of(subject, ControlGroup(None, None, None, tmp_path)), GroupIo)
    assert isinstance(io_of(subject, None), TreeIo)


def test_a_control_group_of_version_1_counts_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "blkio.throttle.io_service_bytes_recursive").write_text(
        "8:0 Read 4096\n8:0 Write 8192\n8:0 Sync 12288\n8:0 Total 12288\nTotal 12288\n"
    )
    source = GroupIo("db", tmp_path)
    assert _values(source.read()) == {"io.read_bytes": 4_096, "io.written_bytes": 8_192}


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", _WRITER, str(tmp_path / "file"), str(1 << 20)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(argv, text=True, **pipes) as process:  # type: ignore[call-overload]
        yield process
        process.kill()


def test_processes_count_what_they_wrote_also_those_that_have_ended(writer: subprocess.Popen[str]) -> None:
    source = TreeIo(Subject("db", "db", "tree", os.getpid(), start_ticks(os.getpid())))
    before = _values(source.read())["io.written_bytes"]
    assert writer.stdout
    writer.stdout.readline()
    alive = _values(source.read())["io.written_bytes"]
    writer.kill()
    writer.wait()
    assert _values(source.read())["io.written_bytes"] >= alive >= before + (1 << 20)


def test_blocked_time_is_read_from_its_field() -> None:
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    assert blocked_seconds(os.getpid()) is not None
    assert int(fields[39]) >= 0  # field 42 of proc_pid_stat(5); the third one follows the name


def test_accept_queues_of_a_service_are_apart_from_those_of_the_app() -> None:
    argv = [sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1"]
    env = {"PYTHONUNBUFFERED": "1"}
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env) as db,
    ):
        assert db.stdout
        port = int(db.stdout.readline().split(" port ")[1].split()[0])
        own = listening.getsockname()[1]
        subjects = [
            Subject("db", "db", "tree", db.pid, start_ticks(db.pid)),
            Subject("app", Role.APP, "process", os.getpid(), start_ticks(os.getpid())),
        ]
        found: dict[str, set[str]] = {}
        for source in sources_for(subjects):
            if isinstance(source, Listeners):
                with closing(source):
                    found[source.scope] = set(source.read())
        db.kill()
    assert f"tcp.accept_queue.{own}" in found["net:host"]
    assert f"tcp.accept_queue.{port}" not in found["net:host"]
    assert found["net:db"] == {f"tcp.accept_queue.{port}", f"tcp.listener_drops.{port}"}


def test_a_service_is_observed_as_the_app_is() -> None:
    service = Subject("db", "db", "tree", os.getpid(), start_ticks(os.getpid()))
    families = {source.family for source in sources_for([service]) if source.scope == "db"}
    assert families == {"threads", "fds", "ctx", "io", "io limits", "titles"}
