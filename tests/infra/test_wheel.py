"""A source distribution and the wheel made of it, installed outside the repository as a newcomer would.

Runs with CI=true, because it fetches installers.
"""

import json
import os
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.infra.installing import caches, environment, run

pytestmark = [pytest.mark.installers, pytest.mark.timeout(900)]  # the first of them fetches and builds


@pytest.fixture(scope="session")
def installed(wheel, tools, tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """A home where `pipx install WHEEL[app]` was run, and the environment of its user."""
    home = tmp_path_factory.mktemp("home")
    path = f"{home}/.local/bin:{tools}:{os.environ['PATH']}"
    of_user = environment(HOME=str(home), PATH=path, **caches(tools))
    for name in ("PIPX_HOME", "PIPX_BIN_DIR", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        of_user.pop(name, None)
    run(tools / "pipx", "install", "--python", sys.executable, f"{wheel}[app]", env=of_user, cwd=home)
    return home, of_user


def tracked(source: Path, *patterns: str) -> set[str]:
    return set(run("git", "-C", source, "ls-files", *patterns).stdout.split())


def test_the_wheel_has_every_file_of_both_packages(source, wheel):
    with zipfile.ZipFile(wheel) as whole:
        names = set(whole.namelist())
    wanted = {name for name in tracked(source, "runner", "app_server") if not name.endswith((".pxd", ".pyx"))}

    assert not wanted - names
    assert {name.partition(".")[0] for name in names if name.endswith(".so")} == {
        "runner/load/fastcounts",
        "runner/load/fastdraws",
        "runner/load/fastpath",
        "runner/load/fastscenarios",
    }


def test_the_source_distribution_has_what_a_build_needs(source, dist):
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as whole:
        names = {name.partition("/")[2] for name in whole.getnames()}

    wanted = tracked(source, "runner", "app_server", "experiments") | {
        "infra/wheels/build_commands.py",
        "pyproject.toml",
        "README.md",
        "LICENSE",
    }
    assert not wanted - names


def test_the_installed_runner_knows_its_commit_and_is_compiled(source, installed):
    home, of_user = installed
    facts = json.loads(run("runner", "--version", "--json", env=of_user, cwd=home).stdout)

    assert facts["commit"] == run("git", "-C", source, "rev-parse", "HEAD").stdout.strip()
    assert (facts["changed"], facts["compiled"], facts["installer"]) == (False, True, "pipx")
    assert facts["environment"].startswith(str(home))


def test_init_and_execute_work_where_no_repository_is(installed):
    home, of_user = installed
    run("runner", "init", "--", "app-server", "--port", "{port}", env=of_user, cwd=home)
    spec = home / "app-server.yaml"
    stages = spec.read_text().partition("\nstages:")[0] + "\nstages:\n  - {rps: 50, duration: 1s}\n"
    spec.write_text(stages)

    words = ("execute", "--no-lock", "--no-calibrate", spec, "--out", "run")
    # a busy machine cannot judge the stage (4) or fails a threshold (99); the run is complete all the same
    done = run("runner", *words, statuses=(0, 4, 99), env=of_user, cwd=home)

    assert "\nReport without charts, for a browser: run/report.html\n" in done.stderr
    results = json.loads((home / "run" / "results.json").read_text())
    assert results["configurations"][0]["stages"][0]["status"] == "complete"
    assert "<style" in (home / "run" / "report.html").read_text()
    run("runner", "verify", next((home / "run").glob("*.zip")), env=of_user, cwd=home)


def test_doctor_gives_the_command_for_an_extra_that_pipx_can_run(installed):
    home, of_user = installed
    python = home / ".local/share/pipx/venvs/loadproof/bin/python"
    if not python.exists():  # an older pipx
        python = next(home.rglob("venvs/loadproof/bin/python"))
    command = run(python, "-c", "from runner.installation import *; print(how_to_add('redis'))").stdout

    assert command.startswith("pipx inject loadproof ")
    run("sh", "-c", command, env=of_user, cwd=home)
    run(python, "-c", "import redis")


def test_uv_installs_it_as_a_tool(wheel, tools, tmp_path):
    path = f"{tools}:{os.environ['PATH']}"
    of_user = environment(
        HOME=str(tmp_path),
        PATH=path,
        **caches(tools),
        UV_TOOL_DIR=str(tmp_path / "tools"),
        UV_TOOL_BIN_DIR=str(tmp_path / "bin"),
    )
    run("uv", "tool", "install", "--python", sys.executable, wheel, env=of_user, cwd=tmp_path)

    facts = json.loads(run(tmp_path / "bin" / "runner", "--version", "--json", env=of_user).stdout)
    assert (facts["compiled"], facts["installer"]) == (True, "uv")
