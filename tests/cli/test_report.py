"""A report is rendered from stored results, always the same; that of a killed run from its journal."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.cli.conftest import ROOT, Cli
from tests.cli.test_resume import killed

RUN = ROOT / "reports" / "app-server"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run without charts."""
    cli = Cli(tmp_path_factory.mktemp("finished"))
    assert cli("execute", cli.write(), "--out", "run").returncode == 0
    return cli.folder / "run"


@pytest.fixture
def run(cli, finished):
    """A copy of that folder, which the test may change."""
    return shutil.copytree(finished, cli.folder / "run")


def test_the_report_of_a_finished_run_is_the_one_that_was_written(cli, run):
    first, second = cli.in_process("report", "run"), cli.in_process("report", "run")

    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout == (cli.folder / "run" / "report.md").read_text()


def test_the_journal_analyzed_again_gives_the_same_bytes(cli):
    spec = cli.write(stages=[{"rps": 20, "duration": "1s"}, {"rps": 30, "duration": "1s"}])
    cli("execute", spec, "--out", "run", "--set", "title=Mine", "--stage", "30 RPS", calibrate=True)

    again = cli.in_process("report", "run", "--recount", "--format", "json")

    assert again.returncode == 0, again.stderr
    assert again.stdout == (cli.folder / "run" / "results.json").read_text()


def test_format_json_prints_the_stored_results(cli):
    done = cli.in_process("report", RUN, "--format", "json")

    stored = json.loads((RUN / "results.json").read_text())
    assert json.loads(done.stdout) == {"definitions": 1} | stored


def test_write_restores_every_rendered_file(cli):
    cli.pictures = True
    cli("execute", cli.write(), "--out", "run")
    folder = cli.folder / "run"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (folder / "report.md").write_text("lost")
    (folder / "report.html").unlink()
    (folder / "charts" / "of-another-report-dark.svg").write_text("<svg/>")

    done = cli.in_process("report", "run", "--write")

    assert done.stdout == "run/report.md\n"
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_format_html_prints_the_page(cli, run):
    assert (
        cli.in_process("report", "run", "--format", "html").stdout
        == (cli.folder / "run" / "report.html").read_text()
    )


def test_out_writes_a_file(cli):
    done = cli.in_process("report", RUN, "--out", "it.md")

    assert done.stdout == "it.md\n"
    assert (cli.folder / "it.md").read_text().startswith("# ")


def test_the_report_of_a_killed_run_shows_its_journal(cli):
    folder = killed(cli, "at 40: offering")
    assert not (folder / "results.json").exists()

    done = cli.in_process("report", folder)

    assert done.returncode == 0, done.stderr
    assert "the report shows what the journal contains" in done.stderr
    assert "its runner was killed" in done.stdout
    assert "at 20" in done.stdout
    assert "not run" in done.stdout


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: text.replace('"actual_rps"', '"actual"'), "does not contain the results"),
        (
            lambda text: text.replace('"schema_version": 1', '"schema_version": 99'),
            "newer version of Loadproof",
        ),
        (lambda text: text[:999], "cannot be read"),
    ],
    ids=["edited", "newer", "cut"],
)
def test_the_report_of_damaged_results_shows_the_journal(cli, run, spoil, words):
    whole = cli.in_process("report", "run").stdout
    results = run / "results.json"
    results.write_text(spoil(results.read_text()))

    done = cli.in_process("report", "run")

    assert (done.returncode, done.stdout) == (0, whole)
    assert words in done.stderr
    assert "the report shows what the journal contains" in done.stderr


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "is no run folder"),
        ({"results.json": "{"}, "cannot be read"),
        ({"results.json": '{"schema_version": 99}'}, "newer version of Loadproof"),
        ({"results.json": '{"schema_version": 1}'}, "experiment is missing"),
        ({"journal.ndjson": ""}, "never ended"),
        ({"run.json": "{}", "spec.yaml": ""}, "is no run folder"),
    ],
)
def test_a_folder_that_is_not_a_run_is_explained(cli, files, words):
    for name, content in files.items():
        (cli.folder / name).write_text(content)

    done = cli.in_process("report", ".")

    assert done.returncode == 2
    assert words in done.stderr
