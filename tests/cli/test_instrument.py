"""The instrument states its own error, and another one is asked when wanted."""

import json

import pytest


def read(cli):
    return json.loads((cli.folder / "run" / "results.json").read_text())["configurations"][0]


def test_the_generators_own_floor_stands_beside_the_results(cli):
    done = cli("execute", cli.write(), "--out", "run", calibrate=True)

    (stage,) = read(cli)["stages"]
    own = stage["calibration"]
    assert done.returncode == 0, done.stderr
    assert "calibrating the builtin engine at 50 RPS" in done.stderr
    assert own["duration_ms"]["p50"] > 0
    assert own["ceiling_rps"] > 50
    assert own["spacing_us"]["planned_gap_us"] == pytest.approx(20_000)
    report = (cli.folder / "run" / "report.md").read_text()
    assert "Generator's own p50 / p95 / p99 (ms)" in report
    assert "### How exact the instrument is" in report


def test_a_stage_above_the_ceiling_is_flagged_before_it_runs(cli):
    spec = cli.write(stages=[{"rps": 900_000, "duration": "100ms"}], load={"workers": 1})

    done = cli("execute", spec, "--out", "run", calibrate=True)

    lines = done.stderr.splitlines()
    flagged = next(n for n, line in enumerate(lines) if "is above the" in line)
    ended = next(n for n, line in enumerate(lines) if "succeeded" in line)
    assert flagged < ended
    assert read(cli)["stages"][0]["calibration"]["above_ceiling"]


@pytest.mark.k6
def test_a_cross_check_runs_each_stage_with_both_engines(cli):
    stages = [{"rps": 50, "duration": "1s"}, {"rps": 100, "duration": "1s"}]

    done = cli("execute", cli.write(stages=stages), "--cross-check", "--out", "run")

    found = read(cli)
    assert done.returncode == 0, done.stderr
    assert [stage["name"] for stage in found["stages"]] == ["50 RPS", "100 RPS"]
    assert [check["engines"] for check in found["cross_check"]] == [["builtin", "k6"]] * 2
    assert [check["trial"]["order"] for check in found["cross_check"]] == [1, 2]
    assert all(check["trial"]["requests"]["succeeded"] for check in found["cross_check"])
    assert "### Cross-check" in (cli.folder / "run" / "report.md").read_text()


def test_the_report_says_who_ran_where(cli):
    spec = cli.write()

    done = cli("execute", spec, "--set", "topology.cpus=[0]", "--set", "load.cpus=[0]", "--out", "run")

    report = (cli.folder / "run" / "report.md").read_text()
    assert done.returncode == 0, done.stderr
    assert "app and proxy stayed on 0" in report
    assert "the generator stayed on processors 0" in report


def test_a_processor_that_is_not_there_is_named(cli):
    done = cli("execute", cli.write(), "--set", "topology.cpus=[4000]", "--out", "run")

    assert done.returncode == 3
    assert "topology.cpus asks for processor 4000" in done.stderr
