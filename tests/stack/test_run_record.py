"""Records lead to processes that may be ended, so what others could have written into them is not used."""

import json
import os
import subprocess
import sys

import pytest

from runner.core.errors import StackFailed
from runner.stack import leftovers, reaper, run_record
from runner.stack.control_group import create_group, is_group_of, members, remove_group
from runner.stack.leftovers import end_leftovers, unrecorded
from runner.stack.reaper import COOKIE, marked_processes, start_ticks
from runner.stack.run_record import append, create_record, read_records, record_path
from runner.stack.watchdog import open_watchdog

GONE = [4194303, 1]
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes owners")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    folder = tmp_path / "records"
    monkeypatch.setattr(run_record, "_folders", lambda: iter([folder]))
    return folder


@pytest.fixture
def process():
    with subprocess.Popen(["sleep", "71"], start_new_session=True) as process:
        yield process
        process.kill()


def record_of(run_id, process=None, **changes):
    """Write a record whose runner is gone, with some values changed."""
    record = create_record(run_id, None)
    path = record_path(record)
    os.close(record)
    head = {**json.loads(path.read_text()), "owner": GONE, **changes}
    lines = [json.dumps(head)]
    if process:
        lines.append(json.dumps({"process": [process.pid, start_ticks(process.pid)]}))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_record_is_private_and_says_what_was_appended(run_id, folder, process):
    record = create_record(run_id, None)
    for message in ({"process": [7, 8]}, {"process": [process.pid, 9]}, {"forget": 7}):
        append(record, message)
    os.close(record)

    (read,) = read_records()
    assert (read.run_id, read.roots, read.group) == (run_id, {process.pid: 9}, None)
    assert read.owner == (os.getpid(), start_ticks(os.getpid()))
    assert (read.here, read.expired, read.owner_is_gone) == (True, False, False)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert read.path.stat().st_mode & 0o777 == 0o600


def test_the_last_line_may_be_incomplete(run_id, process):
    path = record_of(run_id, process)
    path.write_text(path.read_text() + '{"process": [1, ')

    assert read_records()[0].roots == {process.pid: start_ticks(process.pid)}


def test_what_a_dead_run_left_is_ended_and_named(run_id, process):
    path = record_of(run_id, process)

    assert end_leftovers() == [f"ended sleep (pid {process.pid})"]

    assert process.wait(5) == -15
    assert not path.exists()
    assert end_leftovers() == []


def test_the_processes_of_a_live_run_are_only_ended_on_request(run_id, process):
    path = record_of(run_id, process, owner=[os.getpid(), start_ticks(os.getpid())])

    assert end_leftovers() == []
    assert process.poll() is None
    assert end_leftovers(everything=True) == [f"ended sleep (pid {process.pid})"]
    assert path.exists()


def test_a_process_with_a_reused_pid_is_left_alone(run_id, process):
    path = record_of(run_id)
    earlier = start_ticks(process.pid) - 1
    path.write_text(path.read_text() + json.dumps({"process": [process.pid, earlier]}) + "\n")

    assert end_leftovers() == []
    assert process.poll() is None
    assert not path.exists()


def test_a_record_of_another_boot_is_removed_and_ends_nothing(run_id, process):
    path = record_of(run_id, process, boot="another")

    assert end_leftovers(everything=True) == []
    assert process.poll() is None
    assert not path.exists()


def test_a_record_of_another_pid_namespace_is_left_alone(run_id, process):
    path = record_of(run_id, process, namespace="1")

    assert end_leftovers(everything=True) == []
    assert process.poll() is None
    assert path.exists()


@pytest.mark.parametrize("mode", [0o777, 0o720, 0o702])
def test_a_folder_that_others_can_write_to_is_not_used(run_id, folder, process, mode):
    record_of(run_id, process)
    folder.chmod(mode)

    assert read_records() == []
    assert create_record(run_id + "-2", None) is None


@ROOT_ONLY
def test_a_folder_of_another_user_is_not_used(run_id, folder, process):
    record_of(run_id, process)
    os.chown(folder, 65534, 65534)

    assert read_records() == []
    assert create_record(run_id + "-2", None) is None


def test_a_link_in_place_of_the_folder_is_not_followed(run_id, folder, tmp_path, process):
    record_of(run_id, process)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")

    assert read_records() == []
    assert create_record(run_id + "-2", None) is None


@pytest.mark.timeout(10)
def test_links_fifos_and_nonsense_are_not_read(run_id, folder, tmp_path, process):
    path = record_of(run_id, process)
    path.rename(tmp_path / "real")
    (folder / "link.run").symlink_to(tmp_path / "real")
    os.mkfifo(folder / "fifo.run")
    for number, text in enumerate(["", "\n", "{}\n", "[1]\n", '{"run": 1, "owner": 2}\n', "\xff\n"]):
        (folder / f"{number}.run").write_text(text, encoding="latin-1")
    (folder / "folder.run").mkdir()

    assert read_records() == []


def test_a_full_disk_does_not_end_a_run(run_id):
    full = os.open("/dev/full", os.O_WRONLY)
    append(full, {"process": [1, 2]})
    os.close(full)
    append(None, {"process": [1, 2]})


@pytest.mark.parametrize(
    "group", ["/", "/sys/fs/cgroup", "/tmp/loadproof-x", "/sys/fs/cgroup/../../tmp/loadproof-x"]
)
def test_a_folder_that_is_no_group_of_the_run_is_not_used(group, tmp_path, run_id):
    assert read_records() == []
    record_of("x", group=group)

    assert read_records()[0].group is None


def test_a_group_belongs_to_one_run_only(run_id):
    group = create_group(run_id)
    if group is None:
        pytest.skip("no control group can be made here")
    try:
        assert create_group(run_id) == group
        assert is_group_of(group, run_id)
        assert not is_group_of(group, run_id + "0")
        (group / "below").mkdir()
        with subprocess.Popen(["sleep", "71"]) as process:
            (group / "below" / "cgroup.procs").write_text(str(process.pid))
            assert members(group) == {process.pid}
            remove_group(group)
            assert group.exists()
            process.kill()
    finally:
        remove_group(group)
    assert not group.exists()
    assert members(group) == members(None) == set()


def test_a_marked_process_without_a_record_is_named_and_left_alone(run_id):
    with subprocess.Popen(["sleep", "71"], env=os.environ | {COOKIE: run_id}) as process:
        sentences = [line for line in unrecorded() if run_id in line]
        assert process.poll() is None
        process.kill()

    assert len(sentences) == 1
    assert sentences[0].startswith(f"sleep (pid {process.pid}) belongs to the run {run_id}")
    assert f"`kill {process.pid}`" in sentences[0]


def test_a_process_is_found_while_the_kernel_still_replaces_its_program(run_id):
    for _ in range(50):
        with subprocess.Popen(["sleep", "71"], env=os.environ | {COOKIE: run_id}) as process:
            marked = {found.pid: value for found, value in marked_processes()}
            process.kill()

        assert marked.get(process.pid) == run_id


async def test_a_run_without_a_record_that_has_a_watchdog_is_not_named(run_id, monkeypatch):
    monkeypatch.setattr("runner.stack.watchdog.create_record", lambda *_: None)
    async with open_watchdog(run_id):
        process = subprocess.Popen(["sleep", "71"], env=os.environ | {COOKIE: run_id})
        assert [line for line in unrecorded() if run_id in line] == []

    assert process.wait(5) == -15


def test_a_process_that_cannot_be_ended_is_named(run_id, process, monkeypatch):
    path = record_of(run_id, process)
    monkeypatch.setattr(reaper, "_send", lambda *_: None)  # as for a process of another user
    monkeypatch.setattr(reaper, "_KILL_WITHIN_S", 0.1)
    monkeypatch.setattr(leftovers, "_GRACE_S", 0.1)

    with pytest.raises(StackFailed) as failed:
        end_leftovers()

    assert f"cannot be ended: sleep (pid {process.pid})" in failed.value.message
    assert path.exists()


def test_a_name_with_escape_sequences_is_made_printable(run_id):
    code = "import ctypes; ctypes.CDLL(None).prctl(15, b'\\x1b[31mred', 0, 0, 0); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        assert str(reaper.look_up(process.pid)) == f"?[31mred (pid {process.pid})"
        process.stdin.write(b"\n")
