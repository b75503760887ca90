"""Variables in `env_from` reach the app, and their values appear nowhere else."""

import json
import zipfile

import pytest

from runner.core.errors import EnvironmentLacks
from runner.stack.secrets import inherited_variables, mask_secrets
from tests.cli.conftest import Cli, app_command

TOKEN = "hunter2-\N{SNOWMAN}-token"


def test_each_value_is_replaced_by_its_name_the_longest_first():
    values = {"A": "secret", "B": "secret-and-more", "SHORT": "1"}

    assert mask_secrets("secret-and-more, secret, 1", values) == "[B], [A], 1"


def test_an_unset_variable_is_named():
    with pytest.raises(EnvironmentLacks, match="TOKEN is not set") as caught:
        inherited_variables(["HOME", "TOKEN"], {"HOME": "/root"})
    assert "export TOKEN" in caught.value.hint


def test_a_secret_that_the_app_prints_is_replaced_by_its_name_in_every_file(tmp_path, monkeypatch):
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


def test_a_variable_is_in_env_or_in_env_from_but_not_in_both(tmp_path):
    cli = Cli(tmp_path)
    app = {"command": app_command(), "env": {"TOKEN": "1"}, "env_from": ["TOKEN"]}

    done = cli("validate", cli.write(topology={"kind": "process", "app": app}))

    assert done.returncode == 104
    assert "TOKEN is already in env" in done.stderr
