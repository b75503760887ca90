"""A killed run resumes, and what it measured before stays unchanged."""

from __future__ import annotations

import json
import shutil
import signal

import pytest

from tests.cli.conftest import Cli, app_command
from tests.cli.test_execute import results_of, wait_for

STAGES = [{"rps": rps, "duration": "1s", "name": f"at {rps}"} for rps in (20, 30, 40)]


def killed(cli, message, **changes):
    """Return the folder of a run that was killed when it printed a message."""
    process = cli.start("execute", cli.write(stages=STAGES, **changes), "--out", "run")
    wait_for(process, message)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return cli.folder / "run"


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """The folder of a run that was killed in its second stage of three."""
    return killed(Cli(tmp_path_factory.mktemp("killed")), "at 30: offering")


@pytest.fixture
def folder(cli, interrupted):
    """A copy of that folder, which the test may change."""
    return shutil.copytree(interrupted, cli.folder / "run")


def journal_of(folder):
    return [json.loads(line)["trial"] for line in (folder / "journal.ndjson").read_text().splitlines()]


def test_what_is_complete_is_not_run_again_and_the_rest_is_after_an_incomplete_line_was_removed(cli, folder):
    before = (folder / "journal.ndjson").read_bytes()
    with (folder / "journal.ndjson").open("a") as journal:
        journal.write('{"schema_version":1,"run":{"run_id')

    done = cli("execute", "--resume", folder)

    assert done.returncode == 0, done.stderr
    assert (folder / "journal.ndjson").read_bytes().startswith(before)
    assert [trial["stage"] for trial in journal_of(folder)] == ["at 20", "at 30", "at 40"]
    results = results_of(folder)
    assert [stage["status"] for stage in results["configurations"][0]["stages"]] == ["complete"] * 3
    assert results["run"]["status"] == "complete"
    assert done.stderr.count("starting the process stack") == 1  # for two stages
    assert len(results["run"]["resumed_at"]) == 1
    assert "interrupted and resumed at" in (folder / "report.md").read_text()


def test_a_killed_run_is_unfinished_in_every_command(cli, folder):
    assert json.loads((folder / "run.json").read_text())["run"]["status"] == "unfinished"
    (line,) = (folder / "journal.ndjson").read_text().splitlines()
    assert json.loads(line)["run"]["status"] == "unfinished"

    report = cli.in_process("report", folder, "--format", "json")
    assert interrupted_row(cli)["verdict"] == ""
    assert (run := json.loads(report.stdout)["run"])["status"] == "aborted"
    assert run["error"] == "its runner was killed"

    # as after a run that was aborted, resumed, and then killed
    (folder / "results.json").write_text(report.stdout.replace("its runner was killed", "an older end"))
    as_resumed(folder)
    newer = cli.in_process("report", folder)
    assert "was resumed and never ended: its results.json is of before it was resumed" in newer.stderr
    assert "its runner was killed" in newer.stdout
    assert interrupted_row(cli)["verdict"] == ""


@pytest.mark.parametrize(
    "words",
    [
        ("compare", "run", "run"),
        ("compare", "run/results.json", "run"),
        ("history", "run"),
        ("comment", "run", "--dry-run"),
        ("archive", "pack", "run"),
    ],
)
def test_no_command_takes_the_results_of_before_a_run_was_resumed_for_its_own(cli, folder, words):
    older = cli.in_process("report", folder, "--format", "json").stdout
    (folder / "results.json").write_text(older)
    as_resumed(folder)

    done = cli.in_process(
        *(word.replace("run", str(folder)) if "run" in word[:3] else word for word in words)
    )

    assert done.returncode == 2
    assert done.stdout == ""
    assert f"the run in {folder} was resumed and never ended" in done.stderr
    assert f"`runner execute --resume {folder}` continues it" in done.stderr


def test_a_list_of_runs_leaves_out_those_that_never_ended_and_says_so(cli, folder):
    as_resumed(folder)
    for at, name in enumerate(("a", "b", "killed")):
        copy = shutil.copytree(folder, cli.folder / "runs" / name)
        results = json.loads(cli.in_process("report", folder, "--format", "json").stdout)
        results["run"] |= {"id": f"run-{at}", "started_at": f"2026-01-0{at + 1}T00:00:00+00:00"}
        (copy / "results.json").write_text(json.dumps(results))
        if name != "killed":
            run_file = json.loads((copy / "run.json").read_text())
            run_file["run"] |= {"status": "aborted", "finished_at": "2026-01-09T00:00:00+00:00"}
            (copy / "run.json").write_text(json.dumps(run_file))

    done = cli.in_process("history", cli.folder / "runs")

    assert done.returncode == 0, done.stderr
    assert "2 runs" in done.stdout
    assert f"ignored: the run in {cli.folder / 'runs' / 'killed'} was resumed and never ended" in done.stderr


def as_resumed(folder):
    """Note in a run's folder that it was resumed."""
    run_file = json.loads((folder / "run.json").read_text())
    run_file["run"]["resumed_at"] = ["2026-01-01T00:00:00+00:00"]
    (folder / "run.json").write_text(json.dumps(run_file))


def test_a_changed_specification_is_not_resumed(cli, folder):
    spec = folder / "spec.yaml"
    spec.write_text(spec.read_text() + "\n# another one")

    done = cli.in_process("execute", "--resume", folder)

    assert done.returncode == 2
    assert f"{spec} was changed after the run was started" in done.stderr


def test_a_path_that_no_system_has_is_a_damaged_run(cli, folder):
    run_file = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(run_file | {"base_dir": "a\0b"}))

    done = cli.in_process("execute", "--resume", folder)

    assert done.returncode == 2
    assert "run.json cannot be read" in done.stderr


def test_a_report_of_an_interrupted_run_says_what_is_wrong_with_its_journal(cli, folder):
    journal = folder / "journal.ndjson"
    journal.write_text("{}\n" + journal.read_text())

    done = cli.in_process("report", folder)

    assert done.returncode == 2
    assert "never ended: there is no results.json" in done.stderr
    assert f"{journal}, line 1:" in done.stderr


def interrupted_row(cli):
    (row,) = json.loads(cli.in_process("runs", cli.folder, "--format", "json").stdout)
    assert row["state"] == "interrupted"
    assert "it never ended" in row["problem"]
    return row


def test_the_stage_that_a_signal_interrupted_is_run_again(cli):
    process = cli.start("execute", cli.write(stages=STAGES), "--out", "run")
    wait_for(process, "at 30: offering")
    process.send_signal(signal.SIGINT)
    process.communicate()

    (older,) = (cli.folder / "run").glob("*.zip")
    (mine := cli.folder / "run" / "mine.zip").write_bytes(older.read_bytes())
    done = cli("execute", "--resume", "run")

    assert done.returncode == 0, done.stderr
    (newer,) = set((cli.folder / "run").glob("*.zip")) - {mine}
    assert newer != older
    stages = results_of(cli.folder / "run")["configurations"][0]["stages"]
    assert [stage["requests"]["succeeded"] for stage in stages] == [20, 30, 40]


def files_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_overrides_and_the_selection_of_stages_are_kept_and_a_complete_run_starts_nothing(cli):
    spec = cli.write(stages=STAGES)
    process = cli.start(
        "execute", spec, "--out", "run", "--set", "title=Other", "--stage", "at 20", "--stage", "at 40"
    )
    wait_for(process, "at 40: offering")
    process.send_signal(signal.SIGKILL)
    process.communicate()

    assert cli("execute", "--resume", "run").returncode == 0

    results = results_of(cli.folder / "run")
    assert results["experiment"]["title"] == "Other"
    assert [stage["name"] for stage in results["configurations"][0]["stages"]] == ["at 20", "at 40"]
    before = files_of(cli.folder / "run")

    done = cli("execute", "--resume", "run")

    assert (done.returncode, done.stdout) == (0, "run/report.md\n")
    assert files_of(cli.folder / "run") == before
    assert "the run in run is complete: there is nothing to resume" in done.stderr
    assert "starting the" not in done.stderr


def test_counter_experiments_are_not_run_twice(cli):
    slow = {"kind": "process", "app": {"command": app_command("none", "--slots", "1")}}
    spec = cli.write(topology=slow, stages=[{"rps": 200, "duration": "1s"}], prove=True)
    first = cli("execute", spec, "--out", "run")
    before = results_of(cli.folder / "run")["configurations"]

    again = cli("execute", "--resume", "run")

    assert (first.returncode, again.returncode) == (0, 0), again.stderr
    assert results_of(cli.folder / "run")["configurations"] == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--resume", "nowhere"], "no run to resume"),
        (["--resume", ".", "tiny.yaml"], "continues a run with the options that it was started with"),
        ([], "give the path of a specification"),
    ],
)
def test_what_cannot_be_resumed_is_refused(cli, arguments, words):
    cli.write()

    done = cli.in_process("execute", *arguments)

    assert done.returncode == 2
    assert words in done.stderr


def test_a_run_of_another_machine_is_not_resumed(cli, folder):
    begun = json.loads((folder / "run.json").read_text())
    begun["run"]["environment"]["cpu_model"] = "Abacus"
    (folder / "run.json").write_text(json.dumps(begun))

    done = cli.in_process("execute", "--resume", folder)

    assert done.returncode == 2
    assert "Abacus" in done.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"schema_version": 9}', "another version of Loadproof"),
    ],
)
def test_a_damaged_run_file_is_reported(cli, content, words):
    folder = cli.folder / "run"
    folder.mkdir()
    (folder / "run.json").write_text(content)

    done = cli.in_process("execute", "--resume", folder)

    assert done.returncode == 2
    assert words in done.stderr
