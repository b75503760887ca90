"""The example runs: complete, verified, and created by the commands in their table."""

import json
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from infra.reports.refresh import commands
from runner.archive.unpack import read_archive
from runner.archive.verify import verify
from runner.experiment.load import read_spec

ROOT = Path(__file__).parents[1]
REPORTS = ROOT / "reports"
COMMANDS = commands((REPORTS / "README.md").read_text())
ARCHIVES = sorted(REPORTS.glob("*/*.zip"))
SMALL = 2 * 1024 * 1024


def test_there_are_archives():
    assert REPORTS / "quickstart" in {path.parent for path in ARCHIVES}


@pytest.mark.parametrize("path", ARCHIVES, ids=lambda path: path.parent.name)
def test_an_archive_is_intact_and_its_numbers_follow_from_its_data(path):
    verification = verify(read_archive(path).files, str(path))

    assert verification.wrong == ()


@pytest.mark.parametrize("path", ARCHIVES, ids=lambda path: path.parent.name)
def test_an_archive_contains_the_files_of_its_folder_and_is_small(path):
    files = read_archive(path).files
    beside = ("spec.yaml", "run.json", "journal.ndjson", "results.json", "report.md")

    assert {name: files[name] for name in beside} == {
        name: (path.parent / name).read_bytes() for name in beside
    }
    assert path.stat().st_size < SMALL
    assert [file.name for file in path.parent.glob("*.zip")] == [path.name]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_in_the_table_is_the_one_that_was_run(name):
    verb, spec, *rest = COMMANDS[name]
    results = json.loads((REPORTS / name / "results.json").read_text())

    assert (verb, rest[-2:]) == ("execute", ["--out", f"reports/{name}"])
    assert read_spec((ROOT / spec).read_bytes(), source=spec).name == results["experiment"]["name"]
    overrides = [value for flag, value in pairwise(rest) if flag == "--set"]
    assert overrides == results["run"]["overrides"]


def test_every_example_run_is_listed():
    tracked = subprocess.run(
        ["git", "ls-files", "reports"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    tracked_runs = {
        Path(line).parent.name for line in tracked.stdout.splitlines() if line.endswith("/journal.ndjson")
    }

    assert set(COMMANDS) == tracked_runs
