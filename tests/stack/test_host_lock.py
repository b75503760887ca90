"""Two experiments never run at once on one host, and a dead one never blocks the next."""

import os
import signal
import stat
import subprocess
import sys

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
