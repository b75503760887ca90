"""The small commands, and the ways out that all of them share."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT

RUNNER = Path(sys.executable).parent / "runner"


@pytest.mark.parametrize("spec", sorted((ROOT / "experiments").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_experiment_of_the_repository_is_valid(cli, spec):
    done = cli.in_process("validate", spec)

    assert done.returncode == 0, done.stderr
    assert "valid" in done.stdout


def test_validate_lists_every_problem_at_once(cli):
    spec = cli.write(stages=[{"rps": -1, "duration": "5 parsecs"}], colour="red")

    done = cli.in_process("validate", spec)

    assert done.returncode == 104
    assert done.stdout == ""
    assert all(word in done.stderr for word in ("rps", "duration", "colour", "^"))


def test_schema_prints_json_that_is_the_committed_schema(cli):
    done = cli.in_process("schema")

    assert json.loads(done.stdout) == json.loads((ROOT / "runner" / "experiment" / "schema.json").read_text())


def test_doctor_names_what_it_looked_at(cli):
    done = cli.in_process("doctor", "--json")

    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert done.returncode == 0
    assert {
        "Python",
        "generator",
        "kernel receive timestamps",
        "nginx",
        "k6",
        "Docker Engine",
    } <= checks.keys()
    assert {check["status"] for check in checks.values()} <= {"ok", "limited", "missing"}


def test_help_names_every_command(cli):
    done = cli.in_process("--help")

    assert all(word in done.stdout for word in ("execute", "validate", "schema", "doctor", "clean"))


def test_help_imports_neither_the_runner_nor_its_libraries():
    code = "import sys; from runner.cli.main import app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {"trio", "pydantic", "docker", "httpx", "rich", "jinja2"} & set(done.stdout.split())


def test_what_never_talks_to_an_engine_does_not_import_its_library():
    code = "import sys, runner.cli.execute, runner.archive.rerun; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {"docker", "requests"} & set(done.stdout.split())


def test_a_bug_of_ours_is_exit_code_1_with_the_traceback_in_a_file(tmp_path):
    code = (
        "from runner.cli.exit_codes import exit_code_of\n"
        "def app(**_): raise ZeroDivisionError('boom')\n"
        "raise SystemExit(exit_code_of(app))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )

    (bug,) = tmp_path.glob("loadproof-bug-*.txt")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert str(bug) in done.stderr
    assert "ZeroDivisionError: boom" in bug.read_text()


def test_a_reader_that_leaves_early_is_no_error(cli):
    done = subprocess.run(
        f"'{RUNNER}' schema | head -c 1", shell=True, capture_output=True, text=True, check=False
    )

    assert done.stdout == "{"
    assert done.stderr == ""


def test_a_reader_that_leaves_in_the_middle_of_a_command_is_none_either(cli):
    done = subprocess.run(
        ["bash", "-c", f"'{RUNNER}' archive ls reports/quickstart/*.zip | head -1; exit ${{PIPESTATUS[0]}}"],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")


def test_a_specification_may_come_through_a_pipe(cli):
    command = f"'{RUNNER}' execute --dry-run <(cat '{ROOT}/experiments/quickstart.yaml')"

    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert "1000 RPS" in done.stdout or "1,000 RPS" in done.stdout


@pytest.mark.parametrize("command", [["verify"], ["archive", "ls"]])
def test_a_pipe_is_no_archive_and_is_not_waited_for(cli, command):
    os.mkfifo(cli.folder / "pipe")

    done = cli(*command, "pipe")

    assert done.returncode == 2
    assert "pipe is no file" in done.stderr


def test_colour_is_off_where_no_color_is_set(cli):
    done = subprocess.run(
        ["script", "-qec", f"'{RUNNER}' execute nothing.yaml", "/dev/null"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
    )

    assert "nothing.yaml" in done.stdout
    assert "\x1b[" not in done.stdout


def test_on_a_terminal_there_is_a_live_view_and_no_heartbeat(cli):
    spec = cli.write()
    done = subprocess.run(
        ["script", "-qec", f"'{RUNNER}' execute '{spec}' --no-lock --out '{cli.folder}/run'", "/dev/null"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        cwd=cli.folder,
    )

    assert done.returncode == 0
    assert "target" in done.stdout
    assert "in flight" in done.stdout
    assert "offering" not in done.stdout
