"""Archives that version 0.1.0 wrote can be verified, read and rendered."""

from pathlib import Path

import pytest

from runner.archive.unpack import read_archive
from runner.archive.verify import verify
from runner.core.definitions import redefined_since
from runner.report.markdown import render_markdown
from runner.store.reanalyze import reanalyze_files

ARCHIVES = sorted((Path(__file__).parent / "version_0_1_0").glob("*.zip"))
REDEFINED = {f"results.json: {change.meaning}" for change in redefined_since(1)}


def test_every_kind_of_run_is_among_them():
    assert {path.stem for path in ARCHIVES} == {
        "app-server", "capacity", "docker-4k", "hop-ladder", "quickstart", "replicas-usl", "single-process",
    }  # fmt: skip


@pytest.mark.parametrize("path", ARCHIVES, ids=lambda path: path.stem)
def test_every_number_follows_from_the_data_or_is_named_as_redefined(path, monkeypatch):
    if path.stem != "quickstart":  # drawing takes most of the time, and decides nothing about numbers
        monkeypatch.setattr("runner.archive.verify_charts.draw", lambda _charts: {})

    verified = verify(read_archive(path).files, path.name)

    assert verified.wrong == ()
    named = {line for line in verified.unverified if line.startswith("results.json: ")}
    assert named <= REDEFINED


@pytest.mark.parametrize("path", ARCHIVES, ids=lambda path: path.stem)
def test_the_report_can_be_rendered_again(path):
    files = dict(read_archive(path).files)

    report = render_markdown(reanalyze_files(files, where="").results)

    title = files["report.md"].decode().splitlines()[0]
    assert report.startswith(f"{title}\n")
