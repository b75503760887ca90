"""Ramps and closed users, as a user runs them."""

import csv
import json

import pytest


def stage_of(cli):
    return json.loads((cli.folder / "run" / "results.json").read_text())["configurations"][0]["stages"][0]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_ramp_sends_exactly_the_integral_of_its_rate_and_reports_each_slice(cli, workers):
    spec = cli.write(
        load={"request": {"path": "/"}, "timeout": "5s", "workers": workers},
        stages=[{"rps": {"from": 10, "to": 90}, "duration": "4s", "warmup": "1s"}],
        thresholds=["duration.p95 < 1us", "errors < 50%"],
    )

    done = cli("execute", spec, "--out", "run")

    stage = stage_of(cli)
    assert done.returncode == 99, done.stderr
    assert stage["name"] == "10 to 90 RPS"
    assert (stage["target_rps"], stage["ramp"]) == (50, {"from": 10, "to": 90})
    assert stage["requests"]["scheduled"] == 200
    assert [part["due"] for part in stage["slices"]] == [20, 40, 60, 80]
    assert sum(part["requests"]["scheduled"] for part in stage["slices"]) == 200
    failed, passed = stage["thresholds"]
    assert (failed["ok"], failed["level"]) == (False, 20)
    assert passed["ok"]
    report = (cli.folder / "run" / "report.md").read_text()
    assert "The p95 duration exceeded 0.001 ms at 20 RPS" in report
    assert "at 20 RPS" in done.stderr


@pytest.mark.parametrize(("users", "name"), [(5, "5 users"), ({"from": 1, "to": 4}, "1 to 4 users")])
def test_users_have_a_throughput_and_no_response_time(cli, users, name):
    spec = cli.write(
        stages=[{"users": users, "duration": "2s"}],
        load={"requests": [{"name": "a", "path": "/"}, {"name": "b", "path": "/", "weight": 3}]},
    )

    done = cli("execute", spec, "--out", "run")

    stage = stage_of(cli)
    assert done.returncode == 0, done.stderr
    assert stage["name"] == name
    assert (stage["target_rps"], stage["achieved"]) == (None, None)
    assert stage["users"] == users
    assert stage["response_time_ms"]["p95"] is stage["dispatch_delay_ms"]["p95"] is None
    assert stage["actual_rps"] > 10
    assert stage["duration_ms"]["p95"] > 0
    assert len(stage.get("slices", [])) == (0 if isinstance(users, int) else 2)
    parts = {name: part["requests"]["scheduled"] for name, part in stage["parts"].items()}
    assert sum(parts.values()) == stage["requests"]["scheduled"]
    assert parts["b"] > parts["a"] > 0
    assert "waiting users" in (cli.folder / "run" / "report.md").read_text()
    made = cli("report", "run", "--format", "csv")
    rows = list(csv.DictReader(made.stdout.splitlines()))
    assert {row["achieved"] for row in rows} == {""}


def test_a_ramp_of_a_mix_has_the_p95_of_each_request_in_each_slice(cli):
    spec = cli.write(
        stages=[{"rps": {"from": 20, "to": 80}, "duration": "2s"}],
        load={"requests": [{"name": "a", "path": "/"}, {"name": "b", "path": "/", "weight": 3}]},
    )

    done = cli("execute", spec, "--out", "run")

    assert done.returncode == 0, done.stderr
    report = (cli.folder / "run" / "report.md").read_text()
    _, table = report.split("p95 Duration (ms) by request")
    head, _, *rows = [line.split("|")[1:-1] for line in table.strip().splitlines()[:4]]
    assert [cell.strip() for cell in head] == ["Target RPS", "`a`", "`b`"]
    assert [row[0].strip() for row in rows] == ["20 to 50", "50 to 80"]
    parts = stage_of(cli)["parts"]
    for name, column in (("a", 1), ("b", 2)):
        p95s = [part["duration_ms"]["p95"] for part in parts[name]["slices"]]
        assert [float(row[column]) for row in rows] == pytest.approx(p95s, rel=0.01, abs=0.06)


@pytest.mark.parametrize("users", [3, {"from": 3, "to": 1}])
def test_k6_offers_users_who_wait_for_their_responses(cli, users):
    requests = [{"name": "a", "path": "/"}, {"name": "b", "path": "/", "weight": 3}]
    spec = cli.write(
        stages=[{"users": users, "duration": "2s", "warmup": "500ms"}],
        load={"engine": "k6", "requests": requests},
        thresholds=["errors < 1%", "duration.p95 < 30s"],
    )

    done = cli("execute", spec, "--out", "run")

    stage = stage_of(cli)
    assert done.returncode == 0, done.stderr
    assert (stage["target_rps"], stage["achieved"], stage["users"]) == (None, None, users)
    requests = stage["requests"]
    assert requests["scheduled"] == requests["sent"] == requests["succeeded"] > 10
    assert requests["dropped"] == requests["failed"] == 0
    assert abs(stage["actual_rps"] * 2 - requests["succeeded"]) <= 6
    assert stage["duration_ms"]["p95"] > 0
    parts = {name: part["requests"]["scheduled"] for name, part in stage["parts"].items()}
    assert parts["b"] == pytest.approx(3 * parts["a"], abs=20)
    assert len(stage.get("slices", [])) == (0 if isinstance(users, int) else 2)


def test_repeated_ramps_and_users_run_again_from_their_archive_slice_by_slice(cli):
    spec = cli.write(
        stages=[
            {"rps": {"from": 20, "to": 60}, "duration": "2s", "name": "ramp"},
            {"users": 2, "duration": "1s"},
        ],
        repeats=2,
        fresh_stack=True,
    )
    first = cli("execute", spec, "--out", "run")
    (archive,) = (cli.folder / "run").glob("*.zip")

    again = cli("execute", archive, "--out", "again")

    assert (first.returncode, again.returncode) == (0, 0), again.stderr
    reproduction = (cli.folder / "again" / "reproduction.md").read_text()
    assert "By slice of the ramp" in reproduction
    assert "| 20 to 40 " in reproduction
    assert "## 2 users" in reproduction
