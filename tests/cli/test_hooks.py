"""Hooks around real runs: their order, their values, and what happens when one fails or a signal comes."""

import json
import re
import signal
import sys
import time
import zipfile

import pytest

from tests.cli.conftest import app_command, leftovers
from tests.cli.test_execute import results_of, wait_for
from tests.cli.test_secrets_and_files import everything
from tests.servers.organisations import TOKEN

LOAD = {
    "variables": {"key": {"env": "API_KEY"}},
    "request": {"path": "/orgs/${org}", "headers": {"Authorization": "Bearer ${token}", "Key": "${key}"}},
}
CREATE = {
    "request": {"method": "POST", "path": "/orgs", "json": {"name": "acme"}},
    "extract": {"org": {"json": "$.id"}, "token": {"regex": '"token": "([^"]*)"'}},
}
DELETE = {"request": {"method": "DELETE", "path": "/orgs/${org}"}}
API_KEY = "hunter2-hunter2"
HANGS = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(98)"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    open("hangs", "w").close()
time.sleep(99)
"""
HANG = {"run": [sys.executable, "-c", HANGS]}


def note(text: str) -> dict:
    return {"run": ["sh", "-c", f"echo {text} >> journal"]}


@pytest.fixture
def write(cli, monkeypatch):
    """Writes a specification of the service with state, whose folder is the one that the run starts in."""
    monkeypatch.setenv("API_KEY", API_KEY)
    words = [sys.executable, "-m", "tests.servers.organisations", "--port", "{port}", "--journal", "journal"]
    topology = {"kind": "process", "app": {"command": words, "ready_within": "10s"}}

    def written(stages=2, **hooks):
        listed = [{"rps": 30 + n, "duration": "500ms"} for n in range(stages)]
        return cli.write(topology=topology, load=LOAD, stages=listed, hooks=hooks)

    return written


def journal(cli) -> list[str]:
    file = cli.folder / "journal"
    return file.read_text().splitlines() if file.exists() else []


def hook_facts(cli) -> list[tuple[str, int, str]]:
    run = json.loads((cli.folder / "run" / "run.json").read_text())["run"]
    return [(hook["phase"], hook["number"], hook.get("status", "done")) for hook in run["hooks"]]


def until_it_hangs(cli) -> None:
    deadline = time.monotonic() + 30
    while not (cli.folder / "hangs").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(leftovers(cli.folder)) >= 5


def test_hooks_run_in_order_and_the_load_uses_what_they_extract(cli, write):
    seed = ["sh", "-c", 'echo "seed $A $1 $LOADPROOF_URL" | tee -a journal', "sh", "${key}"]
    reset = {"method": "POST", "path": "/reset", "json": {"org": "${org}", "text": "org ${org}"}}
    in_app = {"run": ["sh", "-c", 'echo "$ORG"'], "in": "app", "env": {"ORG": "${org} ${token}"}}
    spec = write(
        setup=[{"run": seed, "env": {"A": "b"}}, CREATE, in_app],
        before_trial=[{"request": reset}],
        teardown=[DELETE, note("end")],
    )

    done = cli("execute", spec, "--out", "run")

    assert done.returncode == 0, done.stderr
    stages = results_of(cli.folder / "run")["configurations"][0]["stages"]
    assert [stage["requests"]["succeeded"] for stage in stages] == [15, 16]
    first, *others = journal(cli)
    assert first.startswith(f"seed b {API_KEY} http://127.0.0.1:")
    reset_line = 'POST /reset {"org":41,"text":"org 41"}'
    assert others == ['POST /orgs {"name":"acme"}', reset_line, reset_line, "DELETE /orgs/41", "end"]
    phases = ["setup"] * 3 + ["before_trial"] * 2 + ["teardown"] * 2
    assert hook_facts(cli) == [(p, n, "done") for p, n in zip(phases, [1, 2, 3, 1, 1, 1, 2], strict=True)]
    logs = {path.name: path.read_text() for path in (cli.folder / "run").rglob("hooks-*.log")}
    assert "seed b [API_KEY] http" in logs["hooks-setup-1.log"]
    assert "41 [token]" in logs["hooks-setup-3.log"]
    assert logs["hooks-before_trial-1.log"].count("before trial") == 2
    for name, content in everything(cli.folder / "run").items():
        assert API_KEY.encode() not in content, name
        assert TOKEN.encode() not in content, name
    assert cli("verify", next((cli.folder / "run").glob("*.zip"))).returncode == 0


def test_an_archive_shows_its_hooks_and_what_has_changed_of_their_scripts(cli, write):
    seed = cli.folder / "seed.sh"
    seed.write_text("#!/bin/sh\necho seeded > seeded\n")
    seed.chmod(0o755)
    setup = [{"run": ["./seed.sh"], "env": {"SIZE": "3"}}, {"run": ["sh", "leak.sh"]}, CREATE]
    (cli.folder / "leak.sh").write_text(f"true {API_KEY}\n")
    assert cli("execute", write(1, setup=setup), "--out", "run").returncode == 0
    (archive,) = (cli.folder / "run").glob("*.zip")
    with zipfile.ZipFile(archive) as files:
        inputs = json.loads(files.read("inputs.json"))
        assert files.read(inputs["./seed.sh"]["kept_as"]) == seed.read_bytes()
        assert "kept_as" not in inputs["leak.sh"]
        assert json.loads(files.read("lock.json"))["files"].keys() == {"./seed.sh", "leak.sh"}

    (cli.folder / "leak.sh").unlink()
    seed.write_text("#!/bin/sh\n")
    shown = cli.in_process("execute", archive, "--dry-run").stderr

    assert f"tiny: setup: runs `./seed.sh` in the folder {cli.folder}" in shown
    assert "tiny:   with SIZE=3" in shown
    assert "tiny: setup: sends POST /orgs" in shown
    assert "  ./seed.sh: " in shown
    assert "  leak.sh: " in shown
    assert "there is no such file" in shown


def test_a_dry_run_of_a_specification_lists_its_hooks(cli, write):
    shown = cli.in_process("execute", write(1, setup=[note("a"), CREATE]), "--dry-run").stdout

    assert f"tiny: setup: runs `sh -c 'echo a >> journal'` in the folder {cli.folder}" in shown
    assert "tiny: setup: sends POST /orgs to the app" in shown
    assert journal(cli) == []


def test_hooks_reach_services_by_their_addresses(cli):
    wait = (
        "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(99)"
    )
    services = {"my-db": {"command": [sys.executable, "-c", wait, "{port}"]}}
    topology = {"kind": "process", "app": {"command": app_command()}, "services": services}
    connect = (
        "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 9); print(sys.argv[3])"
    )
    words = [sys.executable, "-c", connect, "${my-db.host}", "${my-db.port}", "$${my-db.host}"]
    hooks = {"setup": [{"run": words}, {"run": words, "in": "app"}]}

    done = cli("execute", cli.write(topology=topology, hooks=hooks), "--out", "run")

    assert done.returncode == 0, done.stderr
    logs = [path.read_text() for path in (cli.folder / "run").rglob("hooks-setup-*.log")]
    assert len(logs) == 2
    assert all("${my-db.host}" in log for log in logs)


def test_a_failing_setup_ends_the_run_with_its_last_lines_after_tear_down(cli, write):
    fails = {"run": ["sh", "-c", "echo first; echo $0 >&2; exit 7", "${key}"]}
    spec = write(setup=[fails, CREATE], teardown=[DELETE, note("end")])

    done = cli("execute", spec, "--out", "run")

    assert done.returncode == 3
    assert "error: hooks.setup[0] (sh -c 'echo first; echo $0 >&2; exit 7' '${key}') failed: it exited" in (
        done.stderr
    )
    assert "  first\n  [API_KEY]\n" in done.stderr
    assert "warning: hooks.teardown[0] (DELETE /orgs/${org}) was skipped: ${org} has no value" in done.stderr
    assert journal(cli) == ["end"]
    assert not (cli.folder / "run" / "results.json").exists()


def test_a_failing_before_trial_keeps_the_results_so_far(cli, write):
    second_time = {"run": ["sh", "-c", "echo again; test ! -e once && touch once"]}
    spec = write(setup=[CREATE], before_trial=[second_time], teardown=[DELETE])

    done = cli("execute", spec, "--out", "run")

    assert done.returncode == 3
    assert "hooks.before_trial[0]" in done.stderr
    stages = results_of(cli.folder / "run")["configurations"][0]["stages"]
    assert [stage["status"] for stage in stages] == ["complete", "not-run"]
    assert journal(cli) == ['POST /orgs {"name":"acme"}', "DELETE /orgs/41"]

    (cli.folder / "once").unlink()
    assert cli("execute", "--resume", "run").returncode == 0
    stages = results_of(cli.folder / "run")["configurations"][0]["stages"]
    assert [stage["status"] for stage in stages] == ["complete", "complete"]
    assert journal(cli) == ['POST /orgs {"name":"acme"}', "DELETE /orgs/41"] * 2
    assert [status for phase, _, status in hook_facts(cli) if phase == "before_trial"] == [
        "done", "failed", "done"
    ]  # fmt: skip


def test_an_app_that_dies_while_a_hook_runs_ends_the_hook_and_the_run(cli):
    topology = {"kind": "process", "app": {"command": app_command("dies-when-ready", "--after", "2")}}
    spec = cli.write(topology=topology, hooks={"setup": [HANG], "teardown": [note("end")]})

    done = cli("execute", spec, "--out", "run")

    assert done.returncode == 3
    assert "exited with status 9, while hooks.setup[0] ran" in done.stderr
    assert journal(cli) == ["end"]
    assert leftovers(cli.folder) == []


def test_a_failing_tear_down_is_shown_and_does_not_fail_the_run(cli, write):
    slow = HANG | {"within": "1s"}
    spec = write(1, setup=[CREATE], teardown=[slow, {"run": ["./no-such"]}, DELETE])

    done = cli("execute", spec, "--out", "run")

    assert done.returncode == 0
    assert "failed: it did not end within 1s" in done.stderr
    assert "failed: ./no-such does not exist" in done.stderr
    assert journal(cli)[-1] == "DELETE /orgs/41"
    report = (cli.folder / "run" / "report.md").read_text()
    assert "**`hooks.teardown[0]` did not succeed**: it did not end within 1s" in report
    assert re.search(r"\| `hooks.setup\[0\]` +\| `POST /orgs` +\| +1 \|", report)


@pytest.mark.parametrize(
    ("phase", "number"),
    [("setup", signal.SIGINT), ("before_trial", signal.SIGTERM)],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_signal_ends_a_hook_and_tear_down_runs_once(cli, write, phase, number):
    hooks = {"setup": [CREATE]} | {phase: [CREATE, HANG]}
    process = cli.start("execute", write(**hooks, teardown=[DELETE, note("end")]), "--out", "run")
    until_it_hangs(cli)

    process.send_signal(number)
    _, err = process.communicate(timeout=30)

    assert process.returncode == -number
    assert "Traceback" not in err
    assert leftovers(cli.folder) == []
    assert journal(cli).count("end") == 1
    assert sum(line.startswith("DELETE") for line in journal(cli)) == 1


def test_a_killed_runner_leaves_nothing_of_a_hook(cli, write):
    process = cli.start("execute", write(setup=[CREATE, HANG], teardown=[note("end")]), "--out", "run")
    until_it_hangs(cli)

    process.kill()
    process.communicate(timeout=30)

    deadline = time.monotonic() + 20
    while leftovers(cli.folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert leftovers(cli.folder) == []


def test_the_first_signal_leaves_tear_down_running_and_the_second_one_ends_it(cli, write):
    spec = write(1, setup=[CREATE], teardown=[HANG, note("end")])
    process = cli.start("execute", spec, "--out", "run")
    until_it_hangs(cli)

    process.send_signal(signal.SIGTERM)
    wait_for(process, "SIGTERM: removing the stack")
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)

    assert process.returncode == -signal.SIGTERM
    assert leftovers(cli.folder) == []
    assert "end" not in journal(cli)
    assert hook_facts(cli)[-1] == ("teardown", 1, "ended")
