"""Variables in `env_from` reach the app, and their values appear nowhere else."""

import html
import json
import time
import urllib.parse
import zipfile
from base64 import b64encode, encodebytes, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.errors import EnvironmentLacks
from runner.core.masking import margin, mask_bytes, mask_secrets, without_escapes
from runner.experiment.hooks import Hook
from runner.stack.secrets import inherited_variables, inspect_secrets
from tests.cli.conftest import Cli, app_command

TOKEN = "hunter2-\N{SNOWMAN}-token"


def test_each_value_is_replaced_by_its_name_the_longest_first():
    values = {"A": "secret", "B": "secret-and-more", "SHORT": "1"}

    assert mask_secrets("secret-and-more, secret, 1", values) == "[B], [A], 1"


FORMS = {
    "as it is": lambda value: value,
    "JSON": lambda value: json.dumps(value)[1:-1],
    "JSON in UTF-8": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    "JSON with escaped slashes": lambda value: json.dumps(value)[1:-1].replace("/", "\\/"),
    "JSON in JSON in JSON": lambda value: json.dumps(json.dumps(json.dumps(value))),
    "a Python literal": lambda value: repr(value)[1:-1],
    "Python bytes": lambda value: repr(value.encode())[2:-1],
    "percent": lambda value: urllib.parse.quote(value, safe=""),
    "percent, lower case": lambda value: urllib.parse.quote(value, safe="").replace("%2F", "%2f"),
    "a query": urllib.parse.quote_plus,
    "percent twice": lambda value: urllib.parse.quote(urllib.parse.quote(value, safe=""), safe=""),
    "HTML": html.escape,
    "base64": lambda value: b64encode(value.encode()).decode(),
    "base64 for URLs": lambda value: urlsafe_b64encode(value.encode()).decode().rstrip("="),
    "base64 in a query": lambda value: urllib.parse.quote_plus(b64encode(value.encode()).decode()),
    "base64 of more": lambda value: b64encode(b"Jos\xc3\xa9:" + value.encode() + b"/x").decode(),
    "base64 of one more": lambda value: b64encode(b":" + value.encode() + b"\n").decode(),
    "base64 in lines": lambda value: encodebytes(b"user:" + value.encode()).decode(),
    "hexadecimal": lambda value: value.encode().hex(),
    "hexadecimal with colons": lambda value: value.encode().hex(":").upper(),
    "colours inside": "\x1b[1;31m".join,
    "a link inside": lambda value: f"{value[:5]}\x1b]8;;http://x\x07{value[5:]}",
    "control characters inside": "\x00".join,
}
SECRETS = [
    'hunter2/"quoted" & <more>+ü\N{SNOWMAN}\N{PILE OF POO}=',
    "correct horse battery staple",
    "c2VjcmV0/w==",
    "back\\slash\tand 100% of\nlines",
    "s3cr",
]


def parts_of(value, size):
    return {value[at : at + size] for at in range(len(value) - size + 1)}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("value", SECRETS)
def test_a_secret_is_masked_in_every_form_that_programs_print(form, value):
    printed = form(value)

    masked = mask_secrets(f"before {printed} after", {"TOKEN": value})

    assert masked.startswith("before "), masked
    assert masked.endswith(" after"), masked
    assert "[TOKEN]" in masked
    assert len(masked) <= len("before  after") + len("[TOKEN]") + len(printed) // 8 + 12, masked
    assert not parts_of(without_escapes(masked), 12) & parts_of(without_escapes(printed), 12)


@given(value=st.text(min_size=8).filter(lambda value: len(value.strip()) >= 8), data=st.data())
def test_no_form_of_any_value_is_left(value, data):
    value = value.strip().replace("\r", "_")
    form = data.draw(st.sampled_from([FORMS[name] for name in ("as it is", "JSON", "percent", "base64")]))

    assert mask_secrets(f"<{form(value)}>", {"TOKEN": value}).count("[TOKEN]") == 1


KEY = (
    "-----BEGIN KEY-----\n"
    + "\n".join(f"{n:02}" + "abcdefghij" * 6 for n in range(40))
    + "\n-----END KEY-----\n"
)


@pytest.mark.parametrize(
    "printed",
    [
        KEY,
        KEY.replace("\n", "\r\n"),
        "\n".join(f"key: {line}" for line in KEY.splitlines()),
        KEY[:700],
        KEY[-700:],
    ],
)
def test_a_key_of_many_lines_is_masked_also_in_part(printed):
    masked = mask_secrets(printed, {"KEY": KEY})

    assert "abcdefghij" not in masked.replace(KEY.splitlines()[11][:28], "")


def test_a_value_that_ends_in_a_line_end_and_the_password_of_an_address_are_masked():
    values = {"TOKEN": "from-a-file\n", "DATABASE_URL": "postgres://user:p%40ssw0rd@db:5432/x"}

    assert mask_secrets("token=from-a-file; password p@ssw0rd, p%40ssw0rd", values) == (
        "token=[TOKEN]; password [DATABASE_URL], [DATABASE_URL]"
    )


def test_the_beginning_of_a_secret_at_the_end_is_masked():
    assert mask_secrets("the token is hunter2-and", {"T": "hunter2-and-more"}) == "the token is [T]"
    assert mask_secrets("the hunter", {"T": "hunter2-and-more"}) == "the hunter"


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_a_secret_that_begins_before_the_kept_part_is_masked(cut):
    text = "x" * 50 + "hunter2-and-more" * 3 + "y" * 40

    masked = mask_bytes(text.encode(), {"T": "hunter2-and-more" * 3}, keep=40 + cut).decode()

    assert masked == ("[T]" if cut else "") + "y" * 40 or (
        cut > 48 and masked == "x" * (cut - 48) + "[T]" + "y" * 40
    )


def test_secrets_that_overlap_leave_nothing():
    assert mask_secrets("abcdefgh", {"A": "abcdef", "B": "defgh"}) == "[A]"


def test_masking_takes_time_in_proportion_to_the_text():
    values = {"KEY": KEY * 2, "TOKEN": "\\" * 40}
    texts = ["\\" * 64_000, "a" * 64_000, "\x1b[" * 32_000, "\x1b]" * 32_000, "%25" * 20_000, KEY * 30]
    mask_secrets("", values)

    began = time.process_time()
    for text in texts:
        mask_secrets(text, values)
    assert time.process_time() - began < 10, "it is quadratic"
    assert margin(values) == 64 * 1024


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


def test_of_a_url_of_statistics_only_credentials_are_secret():
    urls = {"db": "postgresql://me@h/x", "cache": "redis://:p%40ss-word@h", "odd": "redis://[:pw@h"}

    assert inspect_secrets(urls) == {
        "inspect of cache": "redis://:p%40ss-word@h",
        "password of cache": "p@ss-word",
        "inspect of odd": "redis://[:pw@h",
    }


def test_a_variable_that_is_called_like_a_secret_is_masked_in_what_a_hook_prints(tmp_path):
    cli = Cli(tmp_path)
    printing = 'printf %s "$SHOP_PASSWORD" | base64; echo "<$SHOP_PASSWORD>"; exit 7'
    cli.write(hooks={"setup": [{"run": ["sh", "-c", printing]}]})

    done = cli("execute", "tiny.yaml", "--out", "out", env={"SHOP_PASSWORD": "correct-horse-battery"})

    assert done.returncode == 3
    assert "<[SHOP_PASSWORD]>" in done.stderr
    stored = [file.read_bytes() for file in (cli.folder / "out").rglob("*") if file.is_file()]
    texts = [done.stderr.encode(), done.stdout.encode(), *stored]
    assert not any(b"horse" in text or b"Y29ycmVjdC1ob3Jz" in text for text in texts)


def test_the_title_of_a_hook_is_masked_before_it_is_cut():
    password = "correct-horse-battery-staple"
    secrets = {"password of db": password}

    for before in range(120):
        hook = Hook.model_validate({"run": ["echo", "x" * before, f"postgresql://me:{password}@db/shop"]})
        shown = hook.titled(lambda text: mask_secrets(text, secrets))
        assert "corr" not in shown
