"""A counter-experiment on a real service."""

import json
import sys

from tests.cli.conftest import app_command
from tests.databases import free_port
from tests.servers.scripted import scripted


def test_more_workers_lift_a_concurrency_limit(cli):
    app = {"command": app_command("none", "--slots", "3")}  # 3 at once, 10 ms each: 300 a second at most
    spec = cli.write(topology={"kind": "process", "app": app}, stages=[{"rps": 500, "duration": "2s"}])

    done = cli("execute", spec, "--prove", "--out", "run")

    (stage,) = json.loads((cli.folder / "run" / "results.json").read_text())["configurations"][0]["stages"]
    verdict = stage["verdict"]
    proof = verdict["counter_experiment"]
    report = (cli.folder / "run" / "report.md").read_text()
    assert done.returncode == 0, done.stderr
    assert (verdict["code"], verdict["confidence"]) == ("app-concurrency-limited", "proven")
    assert (proof["change"], proof["answer"]) == ("workers", "confirmed")
    assert [block["changed"] for block in proof["blocks"]] == [False, True, False, True, False]
    assert "### Counter-experiments" in report
    assert "the number of the app's workers is confirmed" in report
    assert "counter-experiment 2 of 5 (doubling the app's workers)" in done.stderr
    assert cli("verify", next((cli.folder / "run").glob("*.zip"))).returncode == 0


def test_a_changed_stack_that_does_not_start_ends_the_counter_experiment_and_not_the_run(cli):
    only_two = "import runpy, sys; '6' in sys.argv and sys.exit('no room for 6'); runpy.run_module('{}')"
    program = only_two.format("tests.servers.small_app', run_name='__main__")
    command = [sys.executable, "-c", program, *app_command("none", "--slots", "3")[3:]]
    app = {"command": command, "port": free_port()}  # so that a replica, the next change, is not possible
    spec = cli.write(topology={"kind": "process", "app": app}, stages=[{"rps": 500, "duration": "2s"}])

    done = cli("execute", spec, "--prove", "--out", "run")

    (stage,) = json.loads((cli.folder / "run" / "results.json").read_text())["configurations"][0]["stages"]
    proof = stage["verdict"]["counter_experiment"]
    assert done.returncode == 0, done.stderr
    assert (proof["change"], proof["answer"]) == ("workers", "inconclusive")
    assert [block["used"] for block in proof["blocks"]] == [True, False]
    assert "could not be measured, because the stack did not start: " in proof["sentence"]
    assert "the stack did not start: " in done.stderr


def test_where_no_counter_experiment_is_needed_or_possible_the_reason_is_said(cli):
    refusal = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
    stages = [{"rps": 50, "duration": "1s"}, {"rps": 60, "duration": "1s"}]
    with scripted(lambda client, _: client.sendall(refusal)) as port:
        spec = cli.write(topology={"kind": "external", "url": f"http://127.0.0.1:{port}"}, stages=stages)
        done = cli("execute", spec, "--prove", "--no-preflight", "--out", "run")
    fine = cli("execute", cli.write(stages=stages[:1]), "--prove", "--out", "fine")

    report = (cli.folder / "run" / "report.md").read_text()
    reason = "50 RPS and 60 RPS: no change of the configuration can test error-limited."
    assert f"No counter-experiment for {reason}" in done.stderr
    assert f"### Counter-experiments\n\n- {reason}" in report
    assert "none is needed, because no limit was found." in (cli.folder / "fine" / "report.md").read_text()
    assert "No counter-experiment" not in fine.stderr  # that there is no limit is said already
