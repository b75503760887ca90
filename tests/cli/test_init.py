"""What `runner init` writes runs unmodified."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import yaml

from tests.cli.conftest import ROOT, app_command


@contextmanager
def service(folder, *words):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, *(words or ("-m", "tests.servers.small_app", "--port")), str(port)],
        cwd=folder,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(ROOT), "LOADPROOF_TEST": str(folder)},
    )
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


SHORT = ["--set", "stages=[{rps: 20, duration: 1s}]"]


def test_a_command_becomes_an_experiment_that_runs(cli):
    done = cli.in_process("init", "--", *app_command())

    assert done.returncode == 0, done.stderr
    (path,) = cli.folder.glob("*.yaml")
    assert done.stdout.strip() == path.name
    ran = cli("execute", path, "--out", "run", *SHORT)
    assert ran.returncode == 0, ran.stderr


def test_a_port_that_is_recognized_becomes_the_field(cli):
    command = [word.replace("{port}", "8000") for word in app_command()]

    done = cli.in_process("init", "--out", "mine.yaml", "--name", "mine", "--", *command)

    assert done.returncode == 0, done.stderr
    spec = yaml.safe_load((cli.folder / "mine.yaml").read_text())
    assert spec["name"] == "mine"
    assert spec["topology"]["app"]["command"] == app_command()


def test_a_command_in_one_word_is_split(cli):
    done = cli.in_process("init", "--out", "mine.yaml", shlex.join(app_command()))

    assert done.returncode == 0, done.stderr
    spec = yaml.safe_load((cli.folder / "mine.yaml").read_text())
    assert spec["topology"]["app"]["command"] == app_command()


def test_a_url_becomes_an_experiment_that_measures_the_cpu_of_the_listening_process(cli):
    with service(cli.folder) as (port, pid):
        done = cli.in_process("init", f"http://127.0.0.1:{port}/", "--out", "it.yaml")
        spec = yaml.safe_load((cli.folder / "it.yaml").read_text())
        ran = cli("execute", "it.yaml", "--out", "run", *SHORT)

    assert done.returncode == 0, done.stderr
    assert spec["topology"]["pids"] == [pid]
    assert spec["name"] == "my-service"
    assert ran.returncode == 0, ran.stderr


def test_the_status_of_the_response_becomes_the_expectation(cli):
    with service(cli.folder, "-m", "http.server", "--bind", "127.0.0.1") as (port, _):
        done = cli.in_process("init", f"http://127.0.0.1:{port}/nowhere?a=b", "--out", "it.yaml")

    assert done.returncode == 0, done.stderr
    spec = yaml.safe_load((cli.folder / "it.yaml").read_text())
    assert spec["load"]["request"]["path"] == "/nowhere?a=b"
    assert spec["load"]["expect"]["status"] == [404]
    assert spec["topology"]["health"] == "/"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["http://127.0.0.1:1/"], 3, "does not respond"),
        (["http://user:secret@127.0.0.1/"], 2, "is not the URL of a service"),
        (["http://127.0.0.1:99999/"], 2, "is not a URL"),
        (["127.0.0.1:8080/items"], 2, "write http://127.0.0.1:8080/items"),
        (["ftp://127.0.0.1/"], 2, "ftp:// is not supported"),
        (["my-server 'unclosed"], 2, "is not a command"),
        (["--", "my-server", "--verbose"], 2, "no port was recognised"),
        (["--", "no-such-command", "{port}"], 3, "cannot start no-such-command"),
        (["--", sys.executable, "-c", "exit(7)", "{port}"], 3, "ended with status 7"),
        ([], 2, "Missing argument"),
        (["--name", "Not A Name", "--", *app_command()], 104, "name"),
    ],
)
def test_an_impossible_target_is_reported_and_nothing_is_written(cli, arguments, code, words):
    done = cli.in_process("init", *arguments)

    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "secret" not in done.stderr
    assert list(cli.folder.glob("*.yaml")) == []


def test_a_file_that_exists_is_not_overwritten(cli):
    (cli.folder / "mine.yaml").write_text("precious")

    done = cli.in_process("init", "--out", "mine.yaml", "--", *app_command())

    assert done.returncode == 2
    assert (cli.folder / "mine.yaml").read_text() == "precious"
