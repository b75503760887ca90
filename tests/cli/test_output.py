"""Text of strangers in output for people changes no terminal and gives no CI system a command."""

import ast
import inspect
import io
import os
import pty
import re
import subprocess
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.cli import exit_codes, output
from runner.cli.github_actions import annotate
from runner.core import errors
from runner.core.errors import LoadproofError, Problem, SpecificationError
from tests.cli.conftest import ROOT

EVIL = "\x1b]0;owned\x07\x1b[2J\r\n::error title=forged::text\n##[error]forged\n##vso[task.complete]x"
ACTIONS = re.compile(r"^\s*::|##\w*\[", re.MULTILINE)

texts = st.text(
    st.one_of(st.sampled_from("::##[] \t\r\n\x0b\x1b\x9b\u2028\u202e\ufeff\udcff\ud800aé"), st.characters())
)


def is_inert(text: str) -> bool:
    """Whether no character controls a terminal and no line is a command."""
    kinds = {unicodedata.category(character) for character in text if character != "\n"}
    return not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"} and not ACTIONS.search(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, 5 µs – ×", "plain text, 5 µs – ×"),
        ("::error::x", ": :error::x"),
        ("  ::add-mask::x", "  : :add-mask::x"),
        ("see std::vector", "see std::vector"),
        ("a ##[error]x", "a # #[error]x"),
        ("##vso[task.setvariable]x", "# #vso[task.setvariable]x"),
        ("## a heading", "## a heading"),
        ("\x1b[31mred", "\N{REPLACEMENT CHARACTER}[31mred"),
        ("two\nlines", "two\N{REPLACEMENT CHARACTER}lines"),
        ("a line of a log\r\n", "a line of a log"),
        ("\tat Main.java", "        at Main.java"),
        (os.fsdecode(b"caf\xe9.yaml"), r"caf\xe9.yaml"),
        ("\ud800", "\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_a_text_becomes_inert_and_stays_readable(text, shown):
    assert output.safe(text) == shown


@given(texts)
def test_no_text_is_more_than_one_inert_line(text):
    shown = output.safe(text)

    assert is_inert(shown)
    assert "\n" not in shown
    assert output.safe(shown) == shown


KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, LoadproofError) and kind is not errors.Interrupted  # has no text of others
]


@given(st.sampled_from(KINDS), texts, texts, st.lists(texts))
def test_the_message_of_every_kind_of_error_is_inert(kind, message, hint, details):
    if kind is SpecificationError:
        error = kind(message, problems=tuple(details))
    else:
        error = kind(message, hint=hint, details=tuple(details))
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", stream)
        exit_codes.show_error(error)

    assert is_inert(stream.getvalue())


@given(texts, texts)
def test_only_the_commands_that_are_meant_reach_github_actions(path, message):
    error = SpecificationError("x", problems=(), positions=(Problem(1, 1, path, message, message),) * 2)
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", stream)
        annotate(Path("spec.yaml"), error, {"GITHUB_ACTIONS": "true"})

    first, second = stream.getvalue().splitlines()
    assert first == second
    assert first.startswith("::error file=spec.yaml,line=1,col=1,title=Specification")
    assert is_inert(first.removeprefix("::error"))


def test_only_one_module_prints():
    """`click.echo` and the streams themselves know nothing of strangers."""
    printing = set()
    for file in (ROOT / "runner" / "cli").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            name = ast.unparse(node) if isinstance(node, ast.Attribute | ast.Name) else ""
            if re.fullmatch(r"click\.s?echo|print|sys\.std(out|err)\.(write|buffer)", name):
                printing.add(file.name)

    assert printing == {"output.py", "github_actions.py"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["validate", f"{EVIL}.yaml"],
        ["execute", EVIL],
        ["execute", "tiny.yaml", "--dry-run", EVIL],
        ["execute", "tiny.yaml", "--dry-run", "--set", f"stages[0].rps={EVIL}"],
        ["execute", "tiny.yaml", "--dry-run", f"--{EVIL}"],
        ["execute", "tiny.yaml", "--dry-run", "--configuration", EVIL],
        ["report", EVIL],
        ["verify", EVIL],
        ["compare", EVIL, EVIL],
        ["compare", EVIL, EVIL, "--margin", EVIL],
        ["archive", "show", next(map(str, ROOT.glob("reports/quickstart/*.zip"))), EVIL],
        ["init", EVIL],
        ["init", f"http://{EVIL}"],
        ["init", "--", EVIL, "{port}"],
        [EVIL],
    ],
    ids=lambda arguments: ascii(" ".join(arguments))[:40],
)
def test_words_of_the_command_line_are_inert_in_messages(cli, arguments):
    cli.write()

    done = cli.in_process(*arguments)

    assert done.returncode in {2, 3, 104}
    assert done.stderr
    assert is_inert(done.stdout)
    assert is_inert(done.stderr)


def test_the_output_of_a_service_is_inert_in_messages(cli):
    command = ["sh", "-c", f"printf '%s\\n' '{EVIL}' >&2; exit 3", "app", "{port}"]
    spec = cli.write(topology={"kind": "process", "app": {"command": command, "ready_within": "5s"}})

    done = cli("execute", spec)

    assert done.returncode == 3
    assert "forged" in done.stderr
    assert is_inert(done.stderr)


def on_a_terminal(cli, *arguments, **environment) -> str:
    """Return what a command prints on a terminal."""
    control, terminal = pty.openpty()
    with cli.popen(arguments, env=environment, stdout=terminal, stderr=terminal):
        os.close(terminal)
        shown = b""
        while chunk := read_or_end(control):
            shown += chunk
    os.close(control)
    return shown.decode()


def read_or_end(control: int) -> bytes:
    try:
        return os.read(control, 65536)
    except OSError:  # EIO: all writers have closed the terminal
        return b""


def test_a_file_of_an_archive_is_inert_on_a_terminal_and_unchanged_in_a_pipe(cli):
    from runner.archive.pack import pack

    log = f"{EVIL}\n".encode()
    (cli.folder / "a.zip").write_bytes(pack({"app.log": log}))

    shown = on_a_terminal(cli, "archive", "show", "a.zip", "app.log")
    piped = subprocess.run(
        cli.words(["archive", "show", "a.zip", "app.log"]), cwd=cli.folder, env=cli.environment,
        capture_output=True, check=True,
    )  # fmt: skip

    assert "forged" in shown
    assert is_inert(shown.replace("\r\n", "\n"))
    assert piped.stdout == log


@pytest.mark.parametrize(
    ("environment", "live"),
    [
        ({"TERM": "xterm", "COLUMNS": "0"}, True),
        ({"TERM": "xterm", "COLUMNS": "1"}, True),
        ({"TERM": "dumb"}, False),
    ],
    ids=str,
)
def test_a_terminal_gets_a_panel_if_it_can_show_one(cli, environment, live):
    spec = cli.write(stages=[{"rps": 20, "duration": "300ms"}])

    shown = on_a_terminal(cli, "execute", spec, "--out", "run", "--no-calibrate", "--no-lock", **environment)

    assert ("\x1b[" in shown) == live
    assert "run/report.md" in shown.replace("\r\n", "")
    assert "error" not in shown


def test_a_log_is_no_terminal_although_colours_are_forced(cli, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")

    done = cli("execute", cli.write(stages=[{"rps": 20, "duration": "300ms"}]), "--out", "run")

    assert "offering" in done.stderr
    assert "\x1b[" not in done.stderr


def test_no_output_is_lost_in_a_locale_without_unicode(cli, monkeypatch):
    for name, value in {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}.items():
        monkeypatch.setenv(name, value)
    spec = cli.write(title="Größe → 5 µs 😀", stages=[{"rps": 20, "duration": "300ms"}])

    run = cli("execute", spec, "--out", "run")
    report = subprocess.run(
        cli.words(["report", "run"]), cwd=cli.folder, env=cli.environment, capture_output=True, check=True
    )

    assert (run.returncode, run.stdout) == (0, "run/report.md\n")
    assert "Größe → 5 µs 😀" in report.stdout.decode()


def test_the_path_of_a_report_is_printed_byte_for_byte(cli):
    folder = os.fsdecode(b"caf\xe9")
    spec = cli.write(stages=[{"rps": 20, "duration": "300ms"}])

    done = subprocess.run(
        [*cli.words(["execute", spec, "--out", folder]), "--no-lock", "--no-calibrate"],
        cwd=cli.folder, env=cli.environment, capture_output=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, b"caf\xe9/report.md\n")
    assert rb"caf\xe9" in done.stderr
