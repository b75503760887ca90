"""The small commands, and how all commands end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import BYTECODE, ROOT

RUNNER = Path(sys.executable).parent / "runner"
SPEC = "experiments/quickstart.yaml"
RUN = "reports/single-process"
SLOW_IMPORTS = {
    "asyncio", "docker", "email", "httpx", "importlib.metadata", "jinja2", "markdown_it", "msgspec",
    "prometheus_client", "psutil", "pydantic", "requests", "rich", "trio", "vl_convert", "yaml",
}  # fmt: skip


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


def test_doctor_names_its_checks(cli):
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


def imported_by(code: str) -> set[str]:
    code += "\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | BYTECODE,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["--help"], set()),
        (["validate", SPEC], {"pydantic", "yaml"}),
        (["execute", SPEC, "--dry-run"], {"msgspec", "pydantic", "yaml"}),
        (["schema"], {"pydantic", "yaml"}),
        (["schema", "--results"], {"msgspec"}),
        (["report", RUN], {"msgspec", "jinja2"}),
        (["report", RUN, "--format", "json"], {"msgspec"}),
        (["report", RUN, "--format", "csv"], {"msgspec"}),
        (["report", RUN, "--format", "junit"], {"msgspec"}),
        (["compare", "tests/results/single-process.json", RUN], {"msgspec"}),
        (["archive", "ls", str(next(ROOT.glob(f"{RUN}/*.zip")))], set()),
    ],
)
def test_a_command_starts_fast_because_it_imports_only_what_it_needs(arguments, needed):
    imported = imported_by(
        "import sys\n"
        "from runner.cli.exit_codes import exit_code_of\n"
        "from runner.cli.main import app\n"
        f"assert exit_code_of(app, {arguments!r}) == 0"
    )

    assert imported & SLOW_IMPORTS == needed


def test_a_server_of_runs_starts_without_what_analyses_runs_and_draws_reports():
    imported = imported_by("import sys, runner.serve.server, runner.serve.live_server")

    drawing = {name for name in imported if name.startswith(("runner.report.charts", "runner.analyze."))}
    assert imported.isdisjoint({"markdown_it", "pydantic", "runner.report.prose", "runner.store.journal"})
    assert not drawing


def test_what_never_talks_to_docker_does_not_import_its_library():
    imported = imported_by("import sys, runner.execution.pipeline, runner.archive.rerun")

    assert not {"docker", "requests"} & imported


def test_a_bug_is_exit_code_1_with_the_traceback_in_a_file(tmp_path):
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


def test_a_reader_that_closes_the_pipe_early_is_no_error(cli):
    done = subprocess.run(
        f"'{RUNNER}' schema | head -c 1", shell=True, capture_output=True, text=True, check=False
    )

    assert done.stdout == "{"
    assert done.stderr == ""


def test_a_reader_that_closes_the_pipe_within_a_command_is_no_error(cli):
    done = subprocess.run(
        ["bash", "-c", f"'{RUNNER}' archive ls reports/quickstart/*.zip | head -1; exit ${{PIPESTATUS[0]}}"],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")


def test_a_specification_can_come_through_a_pipe(cli):
    command = f"'{RUNNER}' execute --dry-run <(cat '{ROOT}/experiments/quickstart.yaml')"

    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert "1000 RPS" in done.stdout or "1,000 RPS" in done.stdout


@pytest.mark.parametrize("command", [["verify"], ["archive", "ls"]])
def test_a_pipe_is_refused_as_an_archive_without_waiting(cli, command):
    os.mkfifo(cli.folder / "pipe")

    done = cli(*command, "pipe")

    assert done.returncode == 2
    assert "cannot read pipe: it is a pipe, not an archive" in done.stderr


def test_no_color_turns_colours_off(cli):
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


def test_a_terminal_shows_a_live_panel_and_no_plain_lines(cli):
    spec = cli.write()
    done = subprocess.run(
        [
            "script",
            "-qec",
            f"'{RUNNER}' execute '{spec}' --no-lock --no-calibrate --out '{cli.folder}/run'",
            "/dev/null",
        ],
        capture_output=True,
        text=True,
        check=False,
        env=cli.environment | {"TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        cwd=cli.folder,
    )

    assert done.returncode == 0
    assert "target" in done.stdout
    assert "in flight" in done.stdout
    assert "offering" not in done.stdout
