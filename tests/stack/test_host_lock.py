"""Two experiments never run at once on one host, and a dead one never blocks the next."""

import os
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from runner.core.errors import EnvironmentLacks
from runner.stack.host_lock import host_lock

HOLDER = """
import sys, time
from pathlib import Path
from runner.stack.host_lock import host_lock
with host_lock("runner execute first.yaml", path=Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "host.lock"


@pytest.fixture
def holder(path):
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_second_experiment_is_refused_and_the_first_is_named(path, holder):
    with pytest.raises(EnvironmentLacks) as refused, host_lock("runner execute second.yaml", path=path):
        pass

    assert "runner execute first.yaml" in refused.value.message
    assert f"pid {holder.pid}" in refused.value.message
    assert "--no-lock" in refused.value.hint


def test_a_killed_holder_does_not_block_the_next(path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()

    with host_lock("next", path=path):
        pass


def test_the_lock_is_released_after_its_block(path):
    for _ in range(2):
        with host_lock("command", path=path):
            assert b"command" in path.read_bytes()
        assert path.read_bytes() == b""


def test_other_users_can_lock_it_whatever_the_umask(path):
    before = os.umask(0o077)
    try:
        with host_lock("first user", path=path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o666
    finally:
        os.umask(before)


def test_a_symlink_in_its_place_is_not_followed(path, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.symlink_to(victim)

    with pytest.raises(EnvironmentLacks), host_lock("trapped", path=path):
        pass

    assert victim.read_text() == "precious"


def refused(path) -> EnvironmentLacks:
    with pytest.raises(EnvironmentLacks) as raised, host_lock("trapped", path=path):
        pytest.fail("it was locked")
    assert "--no-lock" in raised.value.hint
    return raised.value


def test_a_symlink_is_named_as_the_reason(path, tmp_path):
    path.symlink_to(tmp_path / "nothing")

    assert refused(path).message == f"the lock {path} cannot be used: it is a symbolic link"
    assert not (tmp_path / "nothing").exists()


def test_a_hard_link_to_another_file_is_refused_and_the_file_is_kept(path, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.hardlink_to(victim)

    assert "hard link" in refused(path).message
    assert victim.read_text() == "precious"


def test_another_file_in_its_place_is_refused_and_kept(path):
    path.write_text("precious")

    assert "content" in refused(path).message
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    "content", ["", '{"pid": 1, "command": "killed", "since": "then"}', '{"pid": 1, "com']
)
def test_what_a_killed_holder_left_is_replaced(path, content):
    path.write_text(content)

    with host_lock("next", path=path):
        assert b"next" in path.read_bytes()


@pytest.mark.timeout(10)
def test_a_fifo_in_its_place_does_not_block(path):
    os.mkfifo(path)

    assert refused(path).message == f"the lock {path} cannot be used: it is not a regular file"


def test_a_folder_or_a_device_in_its_place_is_refused(path):
    path.mkdir()
    assert "Is a directory" in refused(path).message

    assert "not a regular file" in refused(Path("/dev/null")).message


@pytest.mark.parametrize(
    ("command", "stored"),
    [
        ("runner execute a.yaml --set topology.app.env.KEY=hunter2", "--set topology.app.env.KEY=..."),
        ("runner execute a.yaml --set=topology.app.env.KEY=hunter2", "--set=topology.app.env.KEY=..."),
        ("runner execute a.yaml --set 'x=hunter2 hunter2' --quiet", "--set x=... --quiet"),
        ("runner execute a.yaml --set hunter2", "--set ..."),
        ("runner execute a.yaml --set 'x=hunter2", "runner execute"),
    ],
)
def test_values_of_overrides_are_not_in_it(path, command, stored):
    with host_lock(command, path=path):
        content = path.read_text()

    assert stored in content
    assert "hunter2" not in content


@pytest.fixture
def full_disk(tmp_path):
    """A file system without a free block, and without a free inode after one file."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    folder = tmp_path / "full"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=3", "x", folder]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    with suppress(OSError):
        (folder / "filler").write_bytes(b"x" * 8192)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_one_sentence_with_a_hint(full_disk):
    path = full_disk / "host.lock"

    assert refused(path).message == f"the lock {path} cannot be written: No space left on device"
    assert path.read_bytes() == b""


def test_a_disk_without_inodes_is_one_sentence_with_a_hint(full_disk):
    (full_disk / "last").touch()

    path = full_disk / "host.lock"
    assert refused(path).message == f"the lock {path} cannot be used: No space left on device"
