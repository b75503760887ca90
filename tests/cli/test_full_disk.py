"""A full disk: a tmpfs of a few kilobytes."""

import json
import shutil
from pathlib import Path

from tests.cli.conftest import ROOT


def test_results_that_do_not_fit_on_the_disk_are_written_elsewhere(cli, tiny_disk):
    done = cli("execute", cli.write(stages=[{"rps": 50, "duration": "3s"}]), "--out", tiny_disk / "run")

    rescued = Path(done.stdout.strip()).parent
    assert done.returncode == 3
    assert "No space left on device" in done.stderr
    assert str(rescued) in done.stderr
    results = json.loads((rescued / "results.json").read_text())
    shutil.rmtree(rescued)
    assert results["configurations"][0]["stages"][0]["requests"]["succeeded"] == 150


def test_no_part_of_a_file_or_of_an_archive_remains_on_a_full_disk(cli, tiny_disk):
    run = ROOT / "reports" / "quickstart"
    (archive,) = run.glob("*.zip")

    report = cli("report", run, "--format", "html", "--out", tiny_disk / "report.html")
    extracted = cli("archive", "extract", archive, tiny_disk / "run")

    assert (report.returncode, extracted.returncode) == (3, 3)
    assert "No space left on device" in report.stderr
    assert "No space left on device" in extracted.stderr
    assert sorted(tiny_disk.rglob("*")) == [tiny_disk / "run"]


def test_an_archive_is_not_extracted_over_a_file(cli, tmp_path):
    (archive,) = (ROOT / "reports" / "quickstart").glob("*.zip")
    (tmp_path / "file").write_text("mine")

    done = cli("archive", "extract", archive, tmp_path / "file")

    assert done.returncode == 2
    assert f"{tmp_path}/file is not a folder" in done.stderr
    assert (tmp_path / "file").read_text() == "mine"
