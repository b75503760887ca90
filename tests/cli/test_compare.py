"""`runner compare` and `runner history` on stored runs."""

from __future__ import annotations

import json
import re
from random import Random

import pytest
from msgspec.structs import replace

from runner.archive.files import content
from runner.archive.pack import pack
from runner.store.reanalyze import reanalyze_folder
from runner.store.results_file import encode_results, read_results
from tests.analyze.stages import valid
from tests.analyze.systems import run, stages, with_stages
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


@pytest.fixture
def suspect(folder):
    """Two single runs; in the second, one stage is suspect and one stage is missing."""
    base, head = (run(Random(seed), repeats=1) for seed in (1, 2))
    first, second, third, _ = stages(head)
    first = replace(first, validity=valid("suspect", "other programs used 0.6 cores"))
    third = replace(third, validity=valid("invalid", "a worker died"))
    for name, results in (("one", base), ("unsure", with_stages(head, first, second, third))):
        path = folder / name
        path.mkdir()
        named = replace(results, run=replace(results.run, id=name))
        (path / "results.json").write_bytes(encode_results(named))
    return folder


def test_a_gate_says_what_was_not_judged_and_does_not_pass(suspect, cli):
    shown = cli.in_process("compare", suspect / "one", suspect / "unsure")
    gate = cli.in_process("compare", suspect / "one", suspect / "unsure", "--fail-on-regression")

    lines = (
        "400 RPS: it is only in the base",
        "300 RPS: head: a worker died",
    )
    assert shown.returncode == 0
    assert "**Not judged:** " in shown.stdout
    assert gate.returncode == 4
    for line in lines:
        assert line in shown.stdout.replace("\n", " ")
        assert f"  {line}\n" in gate.stderr
    assert "100 RPS is suspect and has no repeats" in shown.stdout.replace("\n", " ")
    assert "  100 RPS: suspect: other programs used 0.6 cores\n" in gate.stderr
    assert "exit code 4 means that nothing that could be judged got worse" in gate.stderr
    found = json.loads(
        cli.in_process("compare", suspect / "one", suspect / "unsure", "--format", "json").stdout
    )
    assert [gap["stage"] for gap in found["not_judged"]] == ["300 RPS", "400 RPS", "100 RPS"]


def test_a_gate_does_not_fail_because_of_what_a_disturbed_run_lost(suspect, cli):
    path = suspect / "unsure" / "results.json"
    head = read_results(path)
    halved = [
        replace(stage, actual_rps=stage.actual_rps / 2, validity=valid("suspect", "the host was busy"))
        for stage in stages(head)
    ]
    path.write_bytes(encode_results(with_stages(head, *halved)))

    assert cli.in_process("compare", suspect / "one", path, "--fail-on-regression").returncode == 4


def test_a_regression_outweighs_what_was_not_judged(suspect, folder, cli):
    path = folder / "unsure" / "results.json"
    head = read_results(path)
    lossy = [
        replace(stage, actual_rps=stage.actual_rps / 2) if stage.name == "200 RPS" else stage
        for stage in stages(head)
    ]
    path.write_bytes(encode_results(with_stages(head, *lossy)))

    assert cli.in_process("compare", suspect / "one", path, "--fail-on-regression").returncode == 99


def test_a_gate_that_passes_says_how_small_a_change_it_could_have_shown(folder, cli):
    passed = cli.in_process("compare", folder / "slow", folder / "base", "--fail-on-regression")

    assert passed.returncode == 0
    assert re.search(
        r"no regression is shown\. The smallest p95 change that these runs could have shown is \d+ %",
        passed.stderr,
    )
