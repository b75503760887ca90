"""Whatever a path names, reading it ends soon, with a bounded amount of memory."""

import os
import socket
import subprocess
import threading
import time

import pytest

from runner.store import bounded_read
from runner.store.bounded_read import NotFound, NotReadable, TooLarge, read_bounded


def read(path, limit=1000, **more):
    return read_bounded(path, limit, "a specification", **{"may_be_pipe": True, **more})


@pytest.mark.parametrize("size", [0, 1, 999, 1000])
def test_a_file_within_the_limit_is_returned(tmp_path, size):
    (tmp_path / "f").write_bytes(b"x" * size)

    assert read(tmp_path / "f") == b"x" * size


@pytest.mark.parametrize("size", [1001, 3_000_000_000])
def test_a_larger_file_is_refused_without_reading_it(tmp_path, size):
    with (tmp_path / "f").open("wb") as file:
        file.truncate(size)

    with pytest.raises(TooLarge, match=r"larger than .* MiB, the maximum for a specification"):
        read(tmp_path / "f")


def test_a_file_larger_than_the_memory_is_refused_by_its_size(tmp_path):
    with (tmp_path / "f").open("wb") as file:
        file.truncate(2**42)

    with pytest.raises(TooLarge, match=r"larger than 1.04858e\+06 MiB"):
        read(tmp_path / "f", limit=2**40)


def test_a_folder_a_device_and_a_socket_are_refused(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for path, what in (
            (tmp_path, "a folder"),
            ("/dev/zero", "a device"),
            (tmp_path / "socket", "a socket"),
        ):
            with pytest.raises(NotReadable, match=f"it is {what}, not a specification"):
                read(bounded_read.Path(path))


def test_a_pipe_is_refused_at_once_where_a_file_is_needed(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(NotReadable, match="it is a pipe, not a specification"):
        read(tmp_path / "pipe", may_be_pipe=False)


def test_a_missing_file_a_link_to_itself_and_a_name_with_nul_are_refused(tmp_path):
    (tmp_path / "loop").symlink_to("loop")

    with pytest.raises(NotFound, match="there is no such file"):
        read(tmp_path / "none")
    for name in ("loop", "a\0b", "x" * 300):
        with pytest.raises(NotReadable):
            read(tmp_path / name)


def test_a_pipe_without_a_writer_ends_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(bounded_read, "PIPE_TIMEOUT_S", 0.2)
    monkeypatch.setattr(bounded_read, "_NOTICE_AFTER_S", 0.05)
    os.mkfifo(tmp_path / "pipe")
    notices = []

    with pytest.raises(NotReadable, match="it is a pipe, and its writer did not finish within"):
        read(tmp_path / "pipe", on_wait=notices.append)
    assert notices == [f"waiting for a specification from the pipe {tmp_path / 'pipe'}"]


def test_a_pipe_that_delivers_slowly_is_read_and_one_that_never_ends_is_not(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")

    def write(parts, pause_s):
        with (tmp_path / "pipe").open("wb", buffering=0) as pipe:
            for part in parts:
                time.sleep(pause_s)
                try:
                    pipe.write(part)
                except BrokenPipeError:
                    return

    writer = threading.Thread(target=write, args=([b"a", b"b", b"c"], 0.05))
    writer.start()
    assert read(tmp_path / "pipe") == b"abc"
    writer.join()

    monkeypatch.setattr(bounded_read, "PIPE_TIMEOUT_S", 0.3)
    writer = threading.Thread(target=write, args=([b"x"] * 500, 0.01))
    writer.start()
    with pytest.raises(NotReadable, match="did not finish"):
        read(tmp_path / "pipe")
    writer.join()


@pytest.mark.skipif(not os.access("/proc/kmsg", os.R_OK), reason="only root may read it")
def test_a_file_of_the_kernel_that_waits_for_something_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(bounded_read, "SILENCE_S", 0.2)

    with pytest.raises(NotReadable, match="it delivered nothing for 0 s"):
        read(bounded_read.Path("/proc/kmsg"), limit=8_000_000)


def test_a_pipe_that_drips_without_end_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(bounded_read, "PIPE_TIMEOUT_S", 0.5)
    with subprocess.Popen(
        ["sh", "-c", "while printf x; do :; done"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as dripping:
        with pytest.raises(NotReadable, match="its writer did not finish"):
            read(bounded_read.Path(f"/dev/fd/{dripping.stdout.fileno()}"), limit=500_000_000)
        dripping.kill()


def test_an_endless_pipe_is_read_up_to_the_limit():
    with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as endless:
        with pytest.raises(TooLarge):
            read(bounded_read.Path(f"/dev/fd/{endless.stdout.fileno()}"))
        endless.kill()


def test_an_anonymous_pipe_whose_writer_has_ended_is_read():
    with subprocess.Popen(["printf", "abc"], stdout=subprocess.PIPE) as done:
        done.wait()
        assert read(bounded_read.Path(f"/dev/fd/{done.stdout.fileno()}")) == b"abc"
