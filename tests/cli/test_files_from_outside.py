"""A path may name anything: each command says what it is and ends, with the exit code of its kind."""

import json
import os
import socket
import subprocess
import zipfile

import pytest

from runner.archive.pack import pack
from tests.cli.conftest import Cli

COMMANDS = [["validate"], ["execute", "--dry-run"], ["verify"], ["archive", "ls"], ["report"], ["history"]]


@pytest.fixture
def cli(tmp_path):
    return Cli(tmp_path)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("suffix", ["yaml", "zip"])
def test_what_is_no_file_is_refused_with_a_sentence(cli, tmp_path, command, suffix):
    (tmp_path / f"zero.{suffix}").symlink_to("/dev/zero")
    (tmp_path / f"missing-target.{suffix}").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / f"socket.{suffix}"))
        for name in ("zero", "socket", "missing-target"):
            done = cli.in_process(*command, f"{name}.{suffix}")

            assert done.returncode == 2, done.stderr
            assert f"{name}.{suffix}" in done.stderr


@pytest.mark.parametrize(
    ("command", "name", "code"),
    [
        (["validate"], "huge.yaml", 104),
        (["execute", "--dry-run"], "huge.yaml", 104),
        (["verify"], "huge.zip", 104),
        (["execute", "--dry-run"], "huge.zip", 104),
        (["report"], "huge.json", 2),
    ],
)
def test_a_huge_file_is_refused_without_reading_it(cli, tmp_path, command, name, code):
    with (tmp_path / name).open("wb") as file:
        file.truncate(5_000_000_000)

    done = cli.in_process(*command, name)

    assert done.returncode == code
    assert f"{name}: it is larger than" in done.stderr


@pytest.mark.parametrize("name", ["run.json", "spec.yaml", "journal.ndjson", "results.json"])
@pytest.mark.parametrize(
    "command", [["report", "run"], ["report", "--recount", "run"], ["archive", "pack", "run"]]
)
def test_a_run_folder_with_devices_in_it_ends_no_command(cli, tmp_path, name, command):
    (tmp_path / "run").mkdir()
    for file in ("run.json", "spec.yaml", "journal.ndjson", "results.json"):
        (tmp_path / "run" / file).write_bytes(b"{}")
    (tmp_path / "run" / name).unlink()
    (tmp_path / "run" / name).symlink_to("/dev/zero")

    assert cli.in_process(*command).returncode == 2


def test_a_specification_through_a_pipe_is_read(cli):
    spec = cli.write()
    with subprocess.Popen(["cat", spec], stdout=subprocess.PIPE) as writer:
        done = cli.in_process("validate", f"/dev/fd/{writer.stdout.fileno()}")

    assert done.returncode == 0, done.stderr


def test_a_pipe_that_nobody_writes_to_does_not_hang(cli, tmp_path, monkeypatch):
    monkeypatch.setattr("runner.store.bounded_read.PIPE_TIMEOUT_S", 0.2)
    monkeypatch.setattr("runner.store.bounded_read._NOTICE_AFTER_S", 0.1)
    os.mkfifo(tmp_path / "pipe")

    done = cli.in_process("validate", "pipe")

    assert done.returncode == 2
    assert "waiting for a specification from the pipe pipe" in done.stderr
    assert "it is a pipe, and its writer did not finish within" in done.stderr


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    cli = Cli(tmp_path_factory.mktemp("real"))
    done = cli("execute", cli.write(), "--out", "run", "--set", "stages[0].duration=1s")
    assert done.returncode == 0, done.stderr
    (archive,) = (cli.folder / "run").glob("*.zip")
    with zipfile.ZipFile(archive) as packed:
        return {name: packed.read(name) for name in packed.namelist() if "manifest" not in name}


def test_verify_refuses_a_repacked_archive_of_a_real_run(cli, tmp_path, run):
    """What else it refuses is in `tests/archive`."""
    line = json.loads(run["journal.ndjson"])
    line["trial"]["window_s"] = 1.5
    journal = json.dumps(line, separators=(",", ":")).encode() + b"\n"
    (tmp_path / "forged.zip").write_bytes(pack(run | {"journal.ndjson": journal}))

    done = cli.in_process("verify", "forged.zip")

    assert done.returncode == 104
    assert "trial.window_s is 1.5, but the specification gives 1.0" in done.stderr
