"""The commands of variables: what they print is taken within bounds, and a fault is explained."""

import base64
import os
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from runner.core.errors import EnvironmentLacks
from runner.execution import row_command
from runner.execution.row_command import command_output


def python(code):
    return [sys.executable, "-c", code]


def output_of(command, folder):
    fd = command_output("v", command, folder)
    try:
        return os.pread(fd, 1_000_000, 0)
    finally:
        os.close(fd)


def test_a_command_starts_in_the_specifications_folder(tmp_path):
    (tmp_path / "rows").write_bytes(b"a\nb\n")

    assert output_of(["cat", "rows"], tmp_path) == b"a\nb\n"
    assert output_of(python("print('x' * 300_000)"), tmp_path) == b"x" * 300_000 + b"\n"


@pytest.mark.parametrize(
    ("command", "problem", "details"),
    [
        (["/no/such/program"], "cannot be started: No such file or directory", ()),
        (["/etc/passwd"], "cannot be started: Permission denied", ()),
        (["a\0b"], "cannot be started: embedded null byte", ()),
        (["true"], "printed nothing", ()),
        (python("import sys; sys.exit('one\\ntwo')"), "ended with exit status 1", ("one", "two")),
        (python("print(1); import os; os.kill(os.getpid(), 9)"), "was killed by SIGKILL", ()),
        (["sh", "-c", "echo a; kill -35 $$"], "was killed by signal 35", ()),
    ],
)
def test_a_command_that_gives_no_rows_is_explained(tmp_path, command, problem, details):
    with pytest.raises(EnvironmentLacks) as caught:
        command_output("v", command, tmp_path)
    assert caught.value.message.endswith(problem)
    assert caught.value.message.startswith("load.variables.v: the command `")
    assert caught.value.details == details


SECRET = "correct horse battery staple 0123456789"


@pytest.mark.parametrize("encode", [str, lambda text: base64.b64encode(text.encode()).decode(), quote])
@pytest.mark.parametrize("more", [0, 4096 - 20])
def test_a_secret_that_a_failed_command_prints_is_masked_before_its_output_is_cut(tmp_path, encode, more):
    command = ["sh", "-c", f"echo 'boom {encode(SECRET)} {'.' * more}' >&2; exit 1"]
    with pytest.raises(EnvironmentLacks, match="ended with exit status 1") as caught:
        command_output("v", command, tmp_path, secrets={"TOKEN": SECRET})

    (line,) = caught.value.details
    assert line.endswith("." * more)
    assert more or line.strip() == "boom [TOKEN]"
    assert encode(SECRET)[-12:] not in line


def test_a_command_that_never_ends_is_ended_with_what_it_started(tmp_path, monkeypatch):
    monkeypatch.setattr(row_command, "TIMEOUT_S", 1.0)
    pid_file = tmp_path / "pid"
    code = (
        "import subprocess, time, pathlib\n"
        "child = subprocess.Popen(['sleep', '1000'])\n"
        "pathlib.Path('pid').write_text(str(child.pid))\n"
        "print('row', flush=True)\n"
        "time.sleep(1000)\n"
    )
    with pytest.raises(EnvironmentLacks, match="did not end within 1 s"):
        command_output("v", python(code), tmp_path)
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid_file.read_text()}/cmdline").exists() and time.monotonic() < deadline:
        if not Path(f"/proc/{pid_file.read_text()}/cmdline").read_bytes():
            break  # a zombie
        time.sleep(0.02)
    assert time.monotonic() < deadline


def test_a_flood_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(row_command, "MAX_OUTPUT", 3 * 2**20)
    with pytest.raises(EnvironmentLacks, match="printed more than 3 MiB"):
        command_output("v", ["yes"], tmp_path)
