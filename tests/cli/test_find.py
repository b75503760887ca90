"""A search on a real service, and its results computed again from the journal."""

from __future__ import annotations

import json

from runner.analyze.results import results
from runner.experiment.load import read_spec
from runner.experiment.trials import plan
from runner.store import journal
from runner.store.results_file import encode_results
from tests.cli.conftest import app_command

SLOTS = {"kind": "process", "app": {"command": app_command("none", "--slots", "3")}}


def search(until, **find):
    return [{"find": {"max_rps": 2400, "min_rps": 10, "until": until} | find, "duration": "1s"}]


def results_of(folder):
    return json.loads((folder / "results.json").read_text())


HAS_BOUNDS = {"found", "masked"}
"""On a busy machine, what failed above the capacity may be due to other programs."""


def reanalyzed(folder):
    """Return the stored results, and those that follow from the specification and the journal alone."""
    stored = results_of(folder)
    experiment = read_spec((folder / "spec.yaml").read_bytes(), source="spec.yaml")
    entries = journal.read(folder / "journal.ndjson")
    return stored, results(
        experiment,
        spec_sha256=stored["experiment"]["spec_sha256"],
        run=entries[-1].run,
        trials=[entry.trial for entry in entries],
        planned=plan(experiment),
    )


def test_a_search_ends_below_the_capacity_of_the_service_and_explains_why(cli):
    # 3 at once, 10 ms each: no more than 300 a second, whatever the machine.
    spec = cli.write(topology=SLOTS, stages=search(["achieved >= 95%"], precision=0.3))

    done = cli("execute", spec, "--out", "run")

    assert done.returncode == 0, done.stderr
    configuration = results_of(cli.folder / "run")["configurations"][0]
    (entry,) = configuration["capacity"]
    assert entry["ending"] in HAS_BOUNDS, entry["sentence"]
    assert entry["held_rps"] <= 300 / 0.95
    assert entry["failed_rps"] <= entry["held_rps"] * 1.3
    assert "(required: >= 95%)" in entry["sentence"]
    assert entry["sentence"] in done.stderr.replace("\n", " ")
    assert [stage["find"]["probe"] for stage in configuration["stages"]] == list(
        range(1, len(entry["probes"]) + 1)
    )
    report = (cli.folder / "run" / "report.md").read_text()
    assert "### Capacity: find up to 2,400 RPS" in report

    stored, again = reanalyzed(cli.folder / "run")
    assert json.loads(encode_results(again))["configurations"] == stored["configurations"]


def test_a_search_for_users_ends_below_what_the_service_can_complete(cli):
    # 3 at once, 10 ms each, two requests for each user: no more than 150 users a second.
    steps = [{"request": {"name": name, "path": "/"}} for name in ("first", "second")]
    limits = {"max_users_per_s": 1200, "min_users_per_s": 5, "precision": 0.3}
    spec = cli.write(
        topology=SLOTS,
        load={"scenarios": [{"name": "visit", "steps": steps}], "timeout": "1s"},
        stages=[{"find": limits | {"until": ["achieved >= 95%"]}, "duration": "1s"}],
    )

    done = cli("execute", spec, "--out", "run")

    assert done.returncode == 0, done.stderr
    (entry,) = results_of(cli.folder / "run")["configurations"][0]["capacity"]
    assert entry["ending"] in HAS_BOUNDS, entry["sentence"]
    assert entry["unit"] == "users/s"
    assert entry["held_rps"] <= 150 / 0.95
    report = (cli.folder / "run" / "report.md").read_text()
    assert "### Capacity: find up to 1,200 users/s" in report
    assert "| Rate (users/s) |" in report
    stored, again = reanalyzed(cli.folder / "run")
    assert json.loads(encode_results(again))["configurations"] == stored["configurations"]
