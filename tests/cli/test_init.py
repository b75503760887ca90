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

from runner.experiment.init_template import Known, name_for
from tests.cli.conftest import ROOT, app_command
from tests.servers.scripted import scripted


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


def sends(response):
    """Return a server that sends this to whatever comes."""
    return lambda client, _: client.sendall(response)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("./my-service --port {port}", "my-service"),
        ("python3 svc.py {port}", "svc"),
        ("python3.12 -u /srv/my_shop.py --port={port}", "my-shop"),
        ("python3 -m uvicorn main:app --port {port}", "uvicorn"),
        ("node --inspect server.js {port}", "server"),
        ("java -Xmx1g -jar target/shop.jar --server.port={port}", "shop"),
        ("java -cp a.jar:b.jar com.example.Main {port}", "com-example-main"),
        ("ruby app.rb -p {port}", "app"),
        ("php -S 127.0.0.1:{port} router.php", "router"),
        ("deno run --allow-net main.ts {port}", "main"),
        ("bun run shop.ts {port}", "shop"),
        ("sh start.sh {port}", "start"),
        ("/usr/bin/env MODE=test node shop.mjs {port}", "shop"),
        ("sh -c 'exec serve {port}'", "sh"),
        ("python3 {port}", "python3"),
    ],
)
def test_an_experiment_is_named_after_the_program_and_not_its_interpreter(command, name):
    assert name_for(Known(command=tuple(shlex.split(command)))) == name


SHORT = ["--set", "stages=[{rps: 20, duration: 1s}]"]


def test_a_command_becomes_an_experiment_that_runs(cli):
    done = cli.in_process("init", "--", *app_command())

    assert done.returncode == 0, done.stderr
    (path,) = cli.folder.glob("*.yaml")
    assert done.stdout.strip() == path.name
    ran = cli("execute", path, "--out", "run", *SHORT)
    assert ran.returncode in {0, 4}, ran.stderr  # on a busy machine, the generator may not run in time
    assert "complete: " in ran.stderr


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


def test_the_status_of_a_success_becomes_the_expectation(cli):
    with scripted(sends(b"HTTP/1.1 204 No Content\r\n\r\n")) as port:
        done = cli.in_process("init", f"http://127.0.0.1:{port}/a", "--out", "it.yaml")

    assert done.returncode == 0, done.stderr
    assert yaml.safe_load((cli.folder / "it.yaml").read_text())["load"]["expect"]["status"] == [204]


def test_a_path_that_does_not_exist_is_refused_with_one_that_does(cli):
    with service(cli.folder, "-m", "http.server", "--bind", "127.0.0.1") as (port, _):
        done = cli.in_process("init", f"http://127.0.0.1:{port}/nowhere?a=b", "--out", "it.yaml")

    assert done.returncode == 2
    assert "error: /nowhere?a=b returned status 404" in done.stderr
    assert "hint: choose another path: --path / works" in done.stderr
    assert not (cli.folder / "it.yaml").exists()


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"401 No\r\nWWW-Authenticate: Basic", "(WWW-Authenticate: Basic)"),
        (b"403 No", "credentials that allow it"),
        (b"401 No\r\nWWW-Authenticate: \xc2\x85status: \xe2\x80\xa8 [401]", "(WWW-Authenticate: "),
    ],
)
def test_a_service_that_needs_credentials_everywhere_is_refused(cli, head, words):
    with scripted(sends(b"HTTP/1.1 " + head + b"\r\nContent-Length: 0\r\n\r\n")) as port:
        done = cli.in_process("init", f"http://127.0.0.1:{port}/a", "--out", "it.yaml")

    assert done.returncode == 2
    assert words in done.stderr
    assert "--path /PATH" in done.stderr
    assert not (cli.folder / "it.yaml").exists()


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"302 Found\r\nLocation: /login", "(Location: /login)"),
        (b"405 No\r\nAllow: POST", "(Allow: POST)"),
        (b"429 Slow\r\nRetry-After: 9", "(Retry-After: 9)"),
        (b"500 Oops", "read the service's log"),
        (b"503 No", "not ready"),
        (b"302 Found\r\nLocation: /#x: status: [302]", "(Location: /#x: status: [302])"),
    ],
)
def test_every_refusal_has_its_own_advice_in_the_message_and_in_the_file(cli, head, words):
    with scripted(sends(b"HTTP/1.1 " + head + b"\r\nContent-Length: 0\r\n\r\n")) as port:
        done = cli.in_process("init", f"http://127.0.0.1:{port}/a", "--out", "it.yaml")

    status = head[:3].decode()
    assert done.returncode == 0, done.stderr
    assert f"/a returned status {status}" in done.stderr
    assert words in done.stderr
    text = (cli.folder / "it.yaml").read_text()
    assert any(words in line.lower() or words in line for line in text.splitlines() if "  # " in line)
    assert yaml.safe_load(text)["load"]["expect"]["status"] == ["2xx"]
    assert yaml.safe_load(text)["load"]["timeout"] == "10s"


def test_a_redirect_to_no_url_is_reported(cli):
    with scripted(sends(b"HTTP/1.1 302 Found\r\nLocation: /\x1b[31m\r\nContent-Length: 0\r\n\r\n")) as port:
        done = cli.in_process("init", f"http://127.0.0.1:{port}/a")

    assert done.returncode == 3
    assert "redirects to an address that is not a URL" in done.stderr


@pytest.mark.parametrize("response", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x00\x01\x02\r\n\r\n"])
def test_a_service_without_http_is_reported_and_nothing_is_written(cli, response):
    with scripted(sends(response)) as port:
        done = cli.in_process("init", f"http://127.0.0.1:{port}/a")

    assert done.returncode == 3
    assert "accepts connections, but does not respond with HTTP/1.1" in done.stderr
    assert list(cli.folder.glob("*.yaml")) == []


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
