"""A counter-experiment on a real service."""

import json

from tests.cli.conftest import app_command


def test_more_workers_lift_a_concurrency_limit(cli):
    app = {"command": app_command("none", "--slots", "3")}  # 3 at once, 10 ms each: 300 a second at most
    spec = cli.write(topology={"kind": "process", "app": app}, stages=[{"rps": 500, "duration": "2s"}])

    done = cli("execute", spec, "--prove", "--out", "run")

    (stage,) = json.loads((cli.folder / "run" / "results.json").read_text())["configurations"][0]["stages"]
    verdict = stage["verdict"]
    assert done.returncode == 0, done.stderr
    assert (verdict["code"], verdict["confidence"]) == ("app-concurrency-limited", "proven")
    assert verdict["counter_experiment"]["change"] == "workers"
    assert verdict["counter_experiment"]["answer"] == "confirmed"
    assert "### Counter-experiments" in (cli.folder / "run" / "report.md").read_text()
    assert "the number of the app's workers is confirmed" in (cli.folder / "run" / "report.md").read_text()
