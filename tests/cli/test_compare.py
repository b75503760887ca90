"""`runner compare` and `runner history` on stored runs."""

from __future__ import annotations

import json
from random import Random

import pytest
from msgspec.structs import replace

from runner.archive.files import content
from runner.archive.pack import pack
from runner.store.reanalyze import reanalyze_folder
from runner.store.results_file import encode_results
from tests.analyze.systems import run
from tests.archive.folders import fresh_run


@pytest.fixture
def folder(tmp_path):
    def write(name, results):
        path = tmp_path / name
        path.mkdir(parents=True)
        results = replace(results, run=replace(results.run, id=name.replace("/", "-")))
        (path / "results.json").write_bytes(encode_results(results))
        (path / "spec.yaml").touch()

    write("base", run(Random(1), repeats=5))
    write("slow", run(Random(2), repeats=5, slower=1.3))
    other = run(Random(2), repeats=5)
    write("other", replace(other, experiment=replace(other.experiment, name="another")))
    far = run(Random(2), repeats=5)
    write("far", replace(far, environment={**far.environment, "cpu_count": 64}))
    for number in range(3):
        write(f"many/{number}", run(Random(number), repeats=1))
    (tmp_path / "many/foreign").mkdir()
    (tmp_path / "many/foreign/results.json").write_text("[]")
    return tmp_path


def test_a_regression_is_shown_and_fails_when_asked(folder, cli):
    shown = cli.in_process("compare", folder / "base", folder / "slow")
    failed = cli.in_process(
        "compare", folder / "base", folder / "slow" / "results.json", "--fail-on-regression"
    )

    assert shown.returncode == 0
    assert "**Head is worse.**" in shown.stdout
    assert failed.returncode == 99
    assert cli.in_process("compare", folder / "slow", folder / "base", "--fail-on-regression").returncode == 0
    lenient = cli.in_process(
        "compare", folder / "base", folder / "slow", "--margin", "60%", "--fail-on-regression"
    )
    assert lenient.returncode == 0


def test_the_comparison_is_printed_as_json_and_html(folder, cli):
    comparison = json.loads(
        cli.in_process("compare", folder / "base", folder / "slow", "--format", "json").stdout
    )
    out = folder / "page.html"
    page = cli.in_process("compare", folder / "base", folder / "slow", "--format", "html", "--out", out)

    assert comparison["verdict"] == "worse"
    assert page.stdout.strip() == str(out)
    assert "<strong>Head is worse.</strong>" in out.read_text()
    assert "://" not in out.read_text()


@pytest.mark.parametrize(
    ("base", "head", "message"),
    [
        ("base", "far", "different machines"),
        ("base", "other", "different experiments"),
        ("base", "nowhere", "there is no run at"),
        (".", "base", "several experiments"),
        ("many", "many/1", "is on both sides"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(folder, cli, base, head, message):
    done = cli.in_process("compare", folder / base, folder / head)

    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("margin", ["0", "-5%", "five", "101%", "nan"])
def test_a_margin_is_above_0_and_up_to_100_percent(folder, cli, margin):
    assert cli.in_process("compare", folder / "base", folder / "slow", "--margin", margin).returncode == 2


def test_force_compares_different_machines_with_a_warning_on_top(folder, cli):
    done = cli.in_process("compare", folder / "base", folder / "far", "--force")

    assert done.returncode == 0
    assert "Different machines" in done.stdout.split("Base:")[0]


def test_a_history_shows_the_trend_of_each_experiment(folder, cli):
    done = cli.in_process("history", folder)
    (history,) = json.loads(cli.in_process("history", folder / "many", "--format", "json").stdout)

    assert done.returncode == 0
    assert "# History of single-process" in done.stdout
    assert [run["id"] for run in history["runs"]] == ["many-0", "many-1", "many-2"]


def test_a_history_needs_two_runs(folder, cli):
    done = cli.in_process("history", folder / "base")

    assert done.returncode == 2
    assert "does not contain two runs" in done.stderr


def test_archives_in_a_folder_count_once_and_other_zips_are_ignored_with_a_message(folder, cli, tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    for number, name in enumerate(("docker-4k", "docker-4k")):
        run = fresh_run(name, tmp_path / f"fresh-{number}")
        if number:
            begun = json.loads((run / "run.json").read_text())
            begun["run"]["run_id"] = "another"
            (run / "run.json").write_text(json.dumps(begun))
            (run / "results.json").write_bytes(encode_results(reanalyze_folder(run)))
        for copy in ("a", "b"):
            (runs / f"{number}{copy}.zip").write_bytes(pack(content(run)))
    (runs / "photos.zip").write_bytes(b"PK\x05\x06" + bytes(18))

    done = cli.in_process("history", runs, "--format", "json")

    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)[0]["runs"]) == 2
    assert "ignored: " in done.stderr
    assert "photos.zip" in done.stderr
    compared = cli.in_process("compare", runs / "0a.zip", runs / "1b.zip", "--format", "json")
    assert json.loads(compared.stdout)["verdict"] in {"equivalent", "no difference shown"}
