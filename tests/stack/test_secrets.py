"""What is passed on by name reaches the app and stands nowhere else."""

import json
import zipfile

import pytest

from runner.core.errors import EnvironmentLacks
from runner.stack.secrets import hidden, passed_on
from tests.cli.conftest import Cli, app_command

TOKEN = "hunter2-\N{SNOWMAN}-token"


def test_each_value_is_replaced_by_its_name_the_longest_first():
    values = {"A": "secret", "B": "secret-and-more", "SHORT": "1"}

    assert hidden("secret-and-more, secret, 1", values) == "[B], [A], 1"


def test_a_variable_that_is_not_set_is_named():
    with pytest.raises(EnvironmentLacks, match="TOKEN is not set") as caught:
        passed_on(["HOME", "TOKEN"], {"HOME": "/root"})
    assert "export TOKEN" in caught.value.hint


def test_a_value_that_the_app_prints_is_in_no_file_of_the_run_and_its_name_is(tmp_path, monkeypatch):
    monkeypatch.setenv("API_TOKEN", TOKEN)
    cli = Cli(tmp_path)
    app = {"command": app_command("dies-on-request", "--after", "0.5", "--say", "API_TOKEN")}
    spec = cli.write(topology={"kind": "process", "app": app | {"env_from": ["API_TOKEN"]}})

    done = cli("execute", spec, "--out", "run", "--set", "stages[0].duration=1s")

    assert done.returncode == 4, done.stderr
    files = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    (archive,) = (path for path in files if path.suffix == ".zip")
    with zipfile.ZipFile(archive) as inside:
        files |= {archive / name: inside.read(name) for name in inside.namelist()}
        assert b"the token is [API_TOKEN]" in inside.read("logs/tiny/app.log")
        lock = json.loads(inside.read("lock.json"))
    forms = (TOKEN.encode(), json.dumps(TOKEN).strip('"').encode())
    assert [path for path, content in files.items() if any(form in content for form in forms)] == []
    assert TOKEN not in done.stdout + done.stderr
    assert lock["configurations"]["tiny"]["env_names"] == ["API_TOKEN"]


def test_a_variable_is_either_written_out_or_passed_on(tmp_path):
    cli = Cli(tmp_path)
    app = {"command": app_command(), "env": {"TOKEN": "1"}, "env_from": ["TOKEN"]}

    done = cli("validate", cli.write(topology={"kind": "process", "app": app}))

    assert done.returncode == 104
    assert "TOKEN is in env already" in done.stderr
