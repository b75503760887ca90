"""The generator states its own error, and another engine checks it on request."""

import json

import pytest


def read(cli):
    return json.loads((cli.folder / "run" / "results.json").read_text())["configurations"][0]


def test_the_generators_baseline_is_in_the_results_and_in_the_report(cli):
    done = cli("execute", cli.write(), "--out", "run", calibrate=True)

    (stage,) = read(cli)["stages"]
    own = stage["calibration"]
    assert done.returncode == 0, done.stderr
    assert "calibrating the builtin engine at 50 RPS" in done.stderr
    assert own["duration_ms"]["p50"] > 0
    assert own["ceiling_rps"] > 50
    assert own["spacing_us"]["planned_gap_us"] == pytest.approx(20_000)
    report = (cli.folder / "run" / "report.md").read_text()
    assert "Generator Baseline p50 / p95 / p99 (ms)" in report
    assert "### Generator Accuracy" in report


def test_a_rate_above_the_generators_limit_is_reported_before_the_stage_runs(cli):
    spec = cli.write(stages=[{"rps": 900_000, "duration": "100ms"}], load={"workers": 1})

    done = cli("execute", spec, "--out", "run", calibrate=True)

    lines = done.stderr.splitlines()
    warned = next(n for n, line in enumerate(lines) if "that the generator can offer" in line)
    ended = next(n for n, line in enumerate(lines) if "succeeded" in line)
    assert warned < ended
    assert read(cli)["stages"][0]["calibration"]["above_ceiling"]


@pytest.mark.k6
def test_a_cross_check_runs_each_stage_with_both_engines(cli):
    stages = [{"rps": 50, "duration": "1s"}, {"rps": 100, "duration": "1s"}]

    done = cli("execute", cli.write(stages=stages), "--cross-check", "--out", "run")

    configuration = read(cli)
    assert done.returncode == 0, done.stderr
    assert [stage["name"] for stage in configuration["stages"]] == ["50 RPS", "100 RPS"]
    assert [check["engines"] for check in configuration["cross_check"]] == [["builtin", "k6"]] * 2
    assert [check["trial"]["order"] for check in configuration["cross_check"]] == [1, 2]
    assert all(check["trial"]["requests"]["succeeded"] for check in configuration["cross_check"])
    assert "### Cross-check" in (cli.folder / "run" / "report.md").read_text()


def test_the_report_names_the_processors_of_app_and_generator(cli):
    spec = cli.write()

    done = cli("execute", spec, "--set", "topology.cpus=[0]", "--set", "load.cpus=[0]", "--out", "run")

    report = (cli.folder / "run" / "report.md").read_text()
    assert done.returncode == 0, done.stderr
    assert "app and proxy are pinned to 0" in report
    assert "the generator was pinned to processors 0" in report


def test_a_missing_processor_is_named(cli):
    done = cli("execute", cli.write(), "--set", "topology.cpus=[4000]", "--out", "run")

    assert done.returncode == 3
    assert "topology.cpus names processor 4000" in done.stderr
