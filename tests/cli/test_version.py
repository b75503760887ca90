"""`runner --version`, and completion in shells."""

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.cli.conftest import BYTECODE, ROOT

RUNNER = Path(sys.executable).parent / "runner"


def test_version_says_what_it_was_made_of_and_what_it_runs_on(cli):
    done = cli.in_process("--version")

    lines = done.stdout.splitlines()
    assert lines[0] == f"runner (Loadproof), version {version('loadproof')}"
    assert [line.partition(":")[0] for line in lines[1:]] == ["commit", "generator", "Python", "platform"]
    assert f"{platform.python_implementation()} {platform.python_version()}" in lines[3]
    assert platform.machine() in lines[4]


@pytest.mark.parametrize("words", [("--version", "--json"), ("--json", "--version")], ids=" ".join)
def test_version_as_json_in_either_order(cli, words):
    facts = json.loads(cli.in_process(*words).stdout)

    assert facts["version"] == version("loadproof")
    assert facts["python"] == platform.python_version()
    assert facts["environment"] == sys.prefix
    assert {"commit", "changed", "compiled", "installer", "libc"} <= facts.keys()


def test_version_says_that_the_compiled_parts_are_not_used():
    command = [RUNNER, "--version", "--json"]
    environment = os.environ | BYTECODE | {"LOADPROOF_NO_EXTENSIONS": "1"}

    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["compiled"] is False


def test_json_without_version_is_refused(cli):
    done = cli.in_process("--json", "schema")

    assert done.returncode == 2
    assert "--json before a command belongs to --version" in done.stderr


COMPLETIONS = [
    ("bash", "runner exec", "1", "plain,execute"),
    ("bash", "runner execute --no-lo", "2", "plain,--no-lock"),
    ("bash", "runner execute q", "2", "file,q"),
    ("zsh", "runner exec", "1", "plain\nexecute\nRun the experiment in SPEC"),
    ("fish", "runner comp", "comp", "plain,compare"),
]


@pytest.mark.parametrize(("shell", "words", "position", "expected"), COMPLETIONS)
def test_a_shell_is_told_what_could_follow(shell, words, position, expected):
    environment = {"_RUNNER_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": position}

    done = subprocess.run(
        [RUNNER], env=os.environ | BYTECODE | environment, capture_output=True, text=True, check=False
    )
    assert expected in done.stdout
    assert not done.stderr


def documented(shell: str) -> str:
    """The line that docs/install.md has for a shell's start file."""
    lines = (ROOT / "docs" / "install.md").read_text().splitlines()
    (line,) = (line for line in lines if f"_RUNNER_COMPLETE={shell}_source" in line)
    return line.strip().strip("`")


def in_shell(shell, script):
    environment = os.environ | BYTECODE | {"PATH": f"{RUNNER.parent}:{os.environ['PATH']}"}
    return subprocess.run(
        shell, input=script, env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_bash_completes_a_command_after_the_documented_line():
    script = f"""{documented("bash")}
COMP_WORDS=(runner hist) COMP_CWORD=1
_runner_completion runner
printf '%s\\n' "${{COMPREPLY[@]}}"
"""

    assert in_shell(["bash", "--norc"], script) == "history\n"


def test_the_documented_line_gives_zsh_a_function():
    script = documented("zsh").replace("eval", "printf %s")

    assert "compdef _runner_completion runner" in in_shell(["sh"], script)


def test_the_documented_line_gives_fish_a_function():
    script = documented("fish").replace("| source", "| cat")

    assert "complete --no-files --command runner" in in_shell(["sh"], script)
