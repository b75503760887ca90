"""Variables that people call like secrets are treated as such."""

import pytest

from runner.core.secret_names import is_secret_name, secrets_by_name


@pytest.mark.parametrize(
    "name",
    ["PGPASSWORD", "MYSQL_PWD_PASSWD", "github_token", "AWS_SECRET_ACCESS_KEY", "API_KEY", "APIKEY",
     "SIGNING_KEY_2", "DATABASE_URL", "SENTRY_DSN", "Credentials"],
)  # fmt: skip
def test_common_names_of_secrets_are_recognized(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["PATH", "PWD", "OLDPWD", "HOME", "KEYBOARD", "LANG", "KEYMAP", "USER"])
def test_other_variables_are_none(name):
    assert not is_secret_name(name)


def test_short_values_and_paths_are_no_secrets():
    environ = {"A_TOKEN": "hunter2!", "B_TOKEN": "hunter2", "C_KEY": "/home/me/id", "HOME": "x" * 9}

    assert secrets_by_name(environ) == {"A_TOKEN": "hunter2!"}
