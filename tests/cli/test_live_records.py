"""What a run in progress tells those who watch it, on real runs."""

from __future__ import annotations

import json
import signal
import time
import zipfile
from collections import Counter

from runner.core.live import (
    Note,
    Probe,
    RunBegins,
    RunEnds,
    Second,
    TrialBegins,
    TrialEnds,
    decode_live,
)
from runner.store.live_file import is_in_progress, read_beginning
from runner.store.run_names import LIVE
from tests.cli.conftest import app_command
from tests.cli.test_execute import results_of, wait_for


def wait_until(condition, process):
    """Return the first result of `condition` that is true while a process runs."""
    while not (result := condition()):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    return result


def follow(process, folder):
    """Return the records of a run, read as they are written by one who has opened the file early."""
    wait_until((folder / LIVE).exists, process)
    with (folder / LIVE).open("rb") as file:
        content = b""
        while process.poll() is None:
            content += file.read()
            time.sleep(0.02)
        content += file.read()
    return [decode_live(line) for line in content.splitlines()]


def of_type(records, kind):
    return [record for record in records if isinstance(record, kind)]


def test_a_run_tells_its_plan_every_second_and_its_end_and_leaves_no_file(cli):
    mix = [{"name": "ok", "weight": 3, "path": "/"}, {"name": "gone", "weight": 1, "path": "/missing"}]
    load = {"requests": mix, "expect": {"body_contains": "nothing says this"}}
    stages = [{"rps": 40, "duration": "2s", "warmup": "1s"}, {"users": 2, "duration": "1s"}]
    folder = cli.folder / "run"
    spec = cli.write(load=load, stages=stages)
    process = cli.start("execute", spec, "--out", folder, "--no-preflight")

    records = follow(process, folder)

    process.communicate(timeout=30)
    first, *_, last = records
    assert isinstance(first, RunBegins)
    assert [(trial.number, trial.level) for trial in first.trials] == [(1, "40 RPS"), (2, "2 users")]
    assert last == RunEnds(last.at_s, "complete")
    assert [trial.model for trial in of_type(records, TrialBegins)] == ["open", "closed"]
    assert any("starting the process stack" in note.text for note in of_type(records, Note))
    open_model = records[: records.index(of_type(records, TrialEnds)[0])]
    seconds = of_type(open_model, Second)
    assert [second.t_s for second in seconds[:3]] == [0.0, 1.0, 2.0]
    assert [second.target_rps for second in seconds[:3]] == [40, 40, 40]
    failures = sum((Counter(second.failures) for second in seconds), Counter())
    stage = results_of(folder)["configurations"][0]["stages"][0]
    assert failures.total() == stage["requests"]["scheduled"] - stage["requests"]["succeeded"]
    assert {"ok", "gone"} == set(seconds[1].parts)
    assert {"app", "generator", "runner"} <= set(seconds[2].cores)
    assert seconds[2].memory_bytes["app"] > 2**20
    assert not (folder / LIVE).exists()
    (archive,) = folder.glob("*.zip")
    assert not any(LIVE in name for name in zipfile.ZipFile(archive).namelist())


def test_a_search_tells_each_rate_once_with_what_became_of_it(cli):
    slots = {"kind": "process", "app": {"command": app_command("none", "--slots", "3")}}
    find = {"max_rps": 1200, "min_rps": 10, "until": ["achieved >= 95%"], "precision": 0.3, "probes": 3}
    folder = cli.folder / "run"
    spec = cli.write(topology=slots, stages=[{"find": find, "duration": "1s"}])
    process = cli.start("execute", spec, "--out", folder)

    records = follow(process, folder)

    process.communicate(timeout=30)
    probes = of_type(records, Probe)
    entry = results_of(folder)["configurations"][0]["capacity"][0]
    assert [(probe.rate, probe.passed, probe.reason) for probe in probes] == [
        (probe["rps"], probe["ok"], probe["why"]) for probe in entry["probes"]
    ]
    assert [probe.number for probe in probes] == [ends.number for ends in of_type(records, TrialEnds)]
    assert records[0].trials[0].search


def test_a_killed_run_is_no_longer_in_progress_and_a_resumed_one_tells_what_is_done(cli):
    folder = cli.folder / "run"
    spec = cli.write(stages=[{"rps": 50, "duration": "1s"}, {"rps": 51, "duration": "1s"}])
    process = cli.start("execute", spec, "--out", folder)
    wait_for(process, "51 RPS: offering")
    beginning = read_beginning(folder)
    assert beginning.pid == process.pid
    assert is_in_progress(beginning, folder)

    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)

    assert not is_in_progress(beginning, folder)
    resumed = cli.start("execute", "--resume", folder)
    wait_until(lambda: (new := read_beginning(folder)) and new != beginning, resumed)
    records = follow(resumed, folder)
    resumed.communicate(timeout=30)
    assert records[0].resumed
    assert records[0].run_id != beginning.run_id
    assert [(ends.number, ends.status) for ends in of_type(records, TrialEnds)] == [
        (1, "complete"),
        (2, "complete"),
    ]
    assert len(of_type(records, TrialBegins)) == 1


def test_a_run_goes_on_when_nobody_can_be_told(cli):
    """The file cannot be written because a folder has its name when the run is resumed."""
    folder = cli.folder / "run"
    spec = cli.write(stages=[{"rps": 50, "duration": "1s"}, {"rps": 51, "duration": "1s"}])
    process = cli.start("execute", spec, "--out", folder)
    wait_for(process, "51 RPS: offering")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    (folder / LIVE).unlink()
    (folder / LIVE).mkdir()

    done = cli("execute", "--resume", folder)

    assert done.returncode == 0, done.stderr
    assert "those who watch through LiveFile see no more of this run: " in done.stderr
    assert json.loads((folder / "results.json").read_text())["run"]["status"] == "complete"
