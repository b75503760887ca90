"""`runner execute` as a user runs it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from unittest import mock

import pytest

from runner.core.errors import StoredRunError
from tests.cli.conftest import ROOT, app_command, leftovers


def results_of(folder):
    return json.loads((folder / "results.json").read_text())


def only_stage(folder):
    return results_of(folder)["configurations"][0]["stages"][0]


def test_an_experiment_writes_report_results_journal_and_specification(cli):
    cli.pictures = True
    spec = cli.write()

    done = cli("execute", spec, "--out", "run")

    folder = cli.folder / "run"
    assert done.returncode == 0, done.stderr
    assert done.stdout == "run/report.md\n"
    archives = list(folder.glob("*.zip"))
    assert [path.name[:5] for path in archives] == ["tiny-"]
    assert {path.name for path in folder.iterdir()} - {archives[0].name} == {
        "charts",
        "provenance",
        "report.html",
        "report.md",
        "results.json",
        "run.json",
        "journal.ndjson",
        "spec.yaml",
    }
    assert (folder / "spec.yaml").read_bytes() == spec.read_bytes()
    stage = only_stage(folder)
    assert stage["requests"]["scheduled"] == stage["requests"]["succeeded"] == 50
    assert stage["validity"]["status"] in {"valid", "suspect"}
    assert stage["cpu_cores"]["app"]["avg"] > 0


def test_results_that_cannot_be_read_back_are_kept_without_a_report(cli):
    unreadable = StoredRunError("results.json is unreadable", details=("stages: wrong",))

    with mock.patch("runner.execution.conclude.parse_results", side_effect=unreadable):
        done = cli.in_process("execute", cli.write(stages=[{"rps": 20, "duration": "300ms"}]), "--out", "run")

    assert (done.returncode, done.stdout) == (1, "run/results.json\n")
    assert "no report can be made of them: results.json is unreadable" in done.stderr
    assert "stages: wrong" in done.stderr
    assert only_stage(cli.folder / "run")["requests"]["succeeded"] == 6
    assert {path.suffix for path in (cli.folder / "run").iterdir()}.isdisjoint({".md", ".html", ".zip"})


def test_json_is_the_only_output_on_stdout_and_a_broken_extra_only_removes_the_charts(cli):
    done = cli("execute", cli.write(), "--json", "--quiet", "--out", "run")

    assert json.loads(done.stdout)["experiment"]["name"] == "tiny"
    assert (done.returncode, done.stderr) == (0, "")
    assert not (cli.folder / "run" / "charts").exists()
    assert "charts/" not in (cli.folder / "run" / "report.md").read_text()


def test_a_dry_run_starts_and_writes_nothing(cli):
    spec = cli.write(topology={"kind": "process", "app": {"command": ["no-such-command", "{port}"]}})

    done = cli.in_process("execute", spec, "--dry-run")

    assert done.returncode == 0
    assert "50 RPS" in done.stdout
    assert [path.name for path in cli.folder.iterdir()] == ["tiny.yaml"]


def test_a_dry_run_says_how_long_counter_experiments_take(cli):
    stages = [{"rps": 50, "duration": "30s", "warmup": "2s"}, {"rps": 60, "duration": "1s"}]

    done = cli.in_process("execute", cli.write(stages=stages), "--prove", "--dry-run")

    assert (
        "up to 3 counter-experiments for each of 2 stages that reaches a limit, each of 5 blocks: 15 to 40 s"
        in done.stdout
    )


def test_a_dry_run_shows_the_requests_their_shares_checks_and_variables(cli):
    (cli.folder / "skus.csv").write_text("id\na\n")
    load = {
        "variables": {"sku": {"csv": "skus.csv", "order": "random"}, "n": {"int": [1, 5]}},
        "requests": [
            {"name": "search", "weight": 3, "path": "/search", "query": {"q": "${sku.id}"}},
            {
                "name": "order",
                "method": "POST",
                "path": "/orders/${n}",
                "expect": {"status": ["2xx", 409], "json": {"$.ok": True}, "headers": {"X-A": "b"}},
            },
        ],
    }
    done = cli.in_process("execute", cli.write(load=load), "--dry-run")

    assert done.returncode == 0, done.stderr
    assert "search: GET /search, 75 % of the requests; expects status 200\n" in done.stdout
    checks = "expects status 2xx, 409, and checks json, headers"
    assert f"order: POST /orders/${{n}}, 25 % of the requests; {checks}\n" in done.stdout
    assert "variable sku: csv skus.csv, random\n" in done.stdout
    assert "variable n: int\n" in done.stdout


def test_fresh_stack_starts_a_new_stack_for_every_stage(cli):
    """Without it stages share one: `test_resume.py`."""
    stages = [{"rps": 20, "duration": "300ms", "name": name} for name in ("one", "two")]

    fresh = cli("execute", cli.write(stages=stages, fresh_stack=True), "--out", "fresh")

    assert fresh.stderr.count("starting the process stack") == 2
    assert [stage["status"] for stage in results_of(cli.folder / "fresh")["configurations"][0]["stages"]] == [
        "complete",
        "complete",
    ]


def test_set_changes_the_experiment_and_a_failed_threshold_exits_with_99_and_writes_the_report(cli):
    spec = cli.write(thresholds=["actual_rps > 1000"])
    done = cli("execute", spec, "--set", "stages[0].rps=20", "--out", "run")

    assert done.returncode == 99
    stage = only_stage(cli.folder / "run")
    assert stage["thresholds"][0]["ok"] is False
    assert stage["requests"]["scheduled"] == 20
    assert "stages[0].rps=20" in (cli.folder / "run" / "report.md").read_text()


def test_an_invalid_specification_exits_with_104_and_names_the_place(cli):
    done = cli.in_process("execute", cli.write(lod={"engine": "builtin"}))

    assert done.returncode == 104
    assert "tiny.yaml:" in done.stderr
    assert "load" in done.stderr
    assert not (cli.folder / "reports").exists()


@pytest.mark.parametrize("arguments", [["execute"], ["execute", "no.yaml"], ["exekute"], ["execute", "."]])
def test_wrong_usage_exits_with_2(cli, arguments):
    assert cli.in_process(*arguments).returncode == 2


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["no-such-command", "{port}"], "no-such-command"),
        (app_command("exits-at-start"), "no database at all"),
        (app_command("never-healthy"), "/healthz"),
    ],
    ids=["command not found", "exits at start", "never healthy"],
)
def test_an_app_that_does_not_start_exits_with_3_and_the_reason(cli, command, words):
    app = {"command": command, "ready_within": "2s"}

    done = cli("execute", cli.write(topology={"kind": "process", "app": app}))

    assert done.returncode == 3
    assert words in done.stderr


def test_a_port_in_use_is_named(cli):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        app = {"command": app_command(), "port": port}

        done = cli("execute", cli.write(topology={"kind": "process", "app": app}))

    assert done.returncode == 3
    assert str(port) in done.stderr


def test_an_app_that_dies_ends_its_trial_and_the_next_trial_runs(cli):
    app = {"command": app_command("dies-on-request", "--after", "0.5")}
    spec = cli.write(
        topology={"kind": "process", "app": app},
        stages=[
            {"rps": 50, "duration": "3s", "name": "first"},
            {"rps": 5, "duration": "300ms", "name": "second"},
        ],
    )

    done = cli("execute", spec, "--out", "run")

    first, second = results_of(cli.folder / "run")["configurations"][0]["stages"]
    assert done.returncode == 4
    assert first["status"] == "failed"
    assert first["events"][0]["code"] == "app-died"
    assert "I am out of here" in "\n".join(first["events"][0]["log"])
    assert second["status"] == "complete"


def test_an_app_that_dies_during_calibration_ends_the_run_at_once_with_its_last_output(cli):
    app = {"command": app_command("dies-when-ready", "--after", "2")}
    stages = [{"rps": rate, "duration": "1s"} for rate in range(10, 100, 10)]  # some 15 s to calibrate
    spec = cli.write(topology={"kind": "process", "app": app}, stages=stages)
    process = cli.start("execute", spec, "--out", "run", calibrate=True)
    wait_for(process, "calibrating the builtin engine")

    _, rest = process.communicate(timeout=60)

    assert process.returncode == 3
    assert "exited with status 9, before the first request of a stage was sent" in rest
    assert "  small_app: I am out of here\n" in rest
    assert not (cli.cache / "loadproof" / "calibration").exists()  # it did not calibrate to the end


def test_an_app_that_dies_at_start_is_noticed_before_the_calibration(cli):
    app = {"command": app_command("exits-at-start")}

    done = cli("execute", cli.write(topology={"kind": "process", "app": app}), calibrate=True)

    assert done.returncode == 3
    assert "small_app: no database at all" in done.stderr
    assert "calibrating" not in done.stderr


def test_an_external_service_is_measured_without_its_cpu(cli):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.servers.small_app", "--port", str(port)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    try:
        url = f"http://127.0.0.1:{port}"
        spec = cli.write(topology={"kind": "external", "url": url, "health": "/healthz"})

        done = cli("execute", spec, "--out", "run")
    finally:
        server.kill()
        server.wait()

    assert done.returncode == 0, done.stderr
    assert only_stage(cli.folder / "run")["cpu_cores"]["app"] is None
    assert "not measured" in (cli.folder / "run" / "report.md").read_text()


def test_an_output_folder_that_is_not_empty_is_refused(cli):
    spec = cli.write()

    assert cli.in_process("execute", spec, "--out", ".").returncode == 2


def test_an_output_folder_that_cannot_be_written_exits_with_3(cli):
    (cli.folder / "file").write_text("")

    assert cli.in_process("execute", cli.write(), "--out", "file/run").returncode == 3


def wait_for(process, text):
    """Read stderr until a line contains `text`."""
    lines = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            return
    raise AssertionError(f"{text!r} is not in {lines}")


PHASES = {
    "start": ("starting the", "never-healthy"),
    "warm-up": ("offering", "none"),
    "stage": ("offering", "grandchildren"),
    "stubborn app": ("offering", "ignores-sigterm"),
}
ENDED = [
    *((phase, signal.SIGINT) for phase in ("start", "stage")),
    *((phase, signal.SIGTERM) for phase in ("warm-up", "stubborn app")),
    *((phase, signal.SIGKILL) for phase in ("start", "stage")),
]
"""Each phase with one of the signals that the runner handles, which take the same way, or with the other."""


@pytest.mark.parametrize(("phase", "number"), ENDED, ids=lambda it: getattr(it, "name", it))
def test_a_signal_ends_all_processes_and_keeps_the_measurements(cli, phase, number):
    message, fault = PHASES[phase]
    stage = {"rps": 50, "duration": "30s", "warmup": "30s" if phase == "warm-up" else "0s"}
    spec = cli.write(topology={"kind": "process", "app": {"command": app_command(fault)}}, stages=[stage])
    process = cli.start("execute", spec, "--out", "run")
    wait_for(process, message)
    time.sleep(2.5 if phase in {"stage", "stubborn app"} else 1.0)  # a busy machine starts to send late

    process.send_signal(number)
    out, err = process.communicate(timeout=20)

    assert "Traceback" not in out + err
    assert process.returncode == -number
    deadline = time.monotonic() + 15
    while leftovers(cli.folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert leftovers(cli.folder) == []
    if number is not signal.SIGKILL:
        results = results_of(cli.folder / "run")
        assert (results["run"]["status"], results["run"]["signal"]) == ("aborted", number.name)
        assert "aborted" in (cli.folder / "run" / "report.md").read_text().lower()
        stages = results["configurations"][0]["stages"]
        assert stages[0]["status"] == ("not-run" if phase == "start" else "aborted")
        if phase in {"stage", "stubborn app"}:
            requests = stages[0]["requests"]
            assert requests["succeeded"] >= 25
            assert requests["scheduled"] == sum(requests[end] for end in ("succeeded", "failed", "dropped"))


def test_a_run_continues_when_its_output_is_closed(cli):
    spec = cli.write(thresholds=["achieved >= 200%"])
    process = cli.start("execute", spec, "--out", "run")
    process.stdout.close()
    process.stderr.close()

    assert process.wait(timeout=60) == 99

    assert only_stage(cli.folder / "run")["status"] == "complete"
    assert (cli.folder / "run" / "report.md").exists()
