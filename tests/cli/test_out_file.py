"""The file of ``--out``: the old one or the whole new one."""

import os
from pathlib import Path

import pytest

from runner.cli import out_file
from runner.cli.out_file import append_to_file, write_file
from runner.cli.specfile import write_spec
from runner.core.errors import OutputError


def test_an_output_file_that_is_a_pipe_needs_a_reader(tmp_path, monkeypatch):
    monkeypatch.setattr(out_file, "PATIENCE_MS", 100)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="No such device or address"):
        write_file(pipe, b"x")

    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_file(pipe, b"x" * 100)
    assert os.read(reader, 1000) == b"x" * 100
    with pytest.raises(OSError, match="timed out"):
        write_file(pipe, b"x" * 10_000_000)
    os.close(reader)


def test_a_file_is_replaced_or_appended_to(tmp_path):
    file = tmp_path / "f"
    write_file(file, b"long content")
    file.chmod(0o640)
    write_file(file, b"short")
    append_to_file(file, b"er")

    assert file.read_bytes() == b"shorter"
    assert file.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [file]


def test_a_new_file_has_the_mode_of_the_users_mask(tmp_path):
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "f", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("kind", ["symlink", "hard link"])
def test_a_file_with_other_names_stays_one_file(tmp_path, kind):
    file, other = tmp_path / "f", tmp_path / "other"
    file.write_bytes(b"old")
    other.symlink_to(file) if kind == "symlink" else other.hardlink_to(file)

    write_file(other, b"new")

    assert file.read_bytes() == other.read_bytes() == b"new"
    assert other.is_symlink() == (kind == "symlink")


def test_standard_output_that_is_a_file_is_written_to(tmp_path):
    """A new file in its place would not be the one that the shell opened."""
    with (tmp_path / "f").open("w") as file:
        write_file(Path(f"/dev/fd/{file.fileno()}"), b"x")
        assert os.fstat(file.fileno()).st_size == 1


def test_a_full_disk_keeps_the_old_file(tiny_disk):
    file = tiny_disk / "f"
    file.write_bytes(b"old")

    with pytest.raises(OSError, match="No space left on device"):
        write_file(file, b"x" * 10_000_000)

    assert file.read_bytes() == b"old"
    assert list(tiny_disk.iterdir()) == [file]


def test_no_part_of_a_specification_remains_on_a_full_disk(tiny_disk):
    with pytest.raises(OutputError, match="No space left on device"):
        write_spec(tiny_disk / "new.yaml", "x" * 10_000_000)
    assert list(tiny_disk.iterdir()) == []
