"""Signals at any time: no traceback, the shell's exit code, and nothing stays behind."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.cli.conftest import leftovers
from tests.cli.test_execute import results_of, wait_for

_DELAYS_S = [n / 100 for n in range(0, 40, 3)]
_STARTED = [
    ["--help"],
    ["validate", "tiny.yaml"],
    ["execute", "tiny.yaml", "--no-lock", "--no-calibrate", "--out", "run"],
    ["doctor"],
]
"""They start alike, so the delays are divided among them."""


def start(cli, *arguments, before=(), **environment):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return cli.popen(arguments, before=before, env=environment, **pipes)


@pytest.mark.parametrize("command", _STARTED, ids=lambda command: command[0])
def test_ctrl_c_while_a_command_starts_prints_nothing(cli, command):
    cli.write(stages=[{"rps": 20, "duration": "30s"}])
    for delay_s in _DELAYS_S[_STARTED.index(command) :: len(_STARTED)]:
        process = start(cli, *command, PYTHONPROFILEIMPORTTIME="1")
        wait_for(process, " runner.cli\n")  # the first import after SIGINT was reset
        time.sleep(delay_s)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

        assert "Traceback" not in out + err, delay_s
        assert "KeyboardInterrupt" not in out + err, delay_s
        assert process.returncode in {0, -signal.SIGINT}, delay_s
        shutil.rmtree(cli.folder / "run", ignore_errors=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=lambda n: n.name)
def test_a_signal_that_is_ignored_at_the_start_stays_ignored(cli, number):
    spec = cli.write(stages=[{"rps": 20, "duration": "1s"}])
    ignoring = ["sh", "-c", f'trap \'\' {number.name.removeprefix("SIG")}; exec "$0" "$@"']
    process = start(cli, "execute", spec, "--no-lock", "--no-calibrate", "--out", "run", before=ignoring)
    wait_for(process, "starting the")
    process.send_signal(number)
    wait_for(process, "offering")
    process.send_signal(number)

    process.communicate(timeout=30)

    assert process.returncode == 0
    assert results_of(cli.folder / "run")["run"]["status"] == "complete"


def test_a_run_in_the_background_of_a_script_ends_by_sigterm_as_its_shell_ignores_sigint(cli):
    spec = cli.write(stages=[{"rps": 20, "duration": "60s"}])
    noted = cli.folder / "pid"
    script = ["sh", "-c", f'"$0" "$@" & echo "$!" >"{noted}"; wait "$!"']
    shell = start(cli, "execute", spec, "--no-lock", "--no-calibrate", "--out", "run", before=script)
    wait_for(shell, "offering")
    pid = int(noted.read_text())
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGTERM)

    shell.communicate(timeout=60)

    assert shell.returncode == 128 + signal.SIGTERM
    assert results_of(cli.folder / "run")["run"]["signal"] == "SIGTERM"


def test_a_run_under_nohup_survives_its_terminal(cli):
    spec = cli.write(stages=[{"rps": 20, "duration": "2s"}])
    run = " ".join(cli.words(["execute", spec, "--no-lock", "--no-calibrate", "--out", "run"]))
    terminal = subprocess.Popen(
        ["script", "-qec", f"nohup {run} >nohup.out 2>&1 & echo started; sleep 30", "/dev/null"],
        cwd=cli.folder, env=cli.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    terminal.stdout.readline()
    log = cli.folder / "nohup.out"
    deadline = time.monotonic() + 20
    while not (log.exists() and "offering" in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    terminal.kill()
    terminal.communicate()

    report = cli.folder / "run" / "report.md"
    while not (log.exists() and "run/report.md" in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert report.exists()
    assert results_of(cli.folder / "run")["run"]["status"] == "complete"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_init_ends_the_service_that_it_started(cli, number):
    service = "import os, time; open('started', 'w').close(); time.sleep(60)"
    process = start(cli, "init", "--out", "a.yaml", "--", sys.executable, "-c", service, "--port", "{port}")
    deadline = time.monotonic() + 20
    while not (cli.folder / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.02)

    process.send_signal(number)
    out, err = process.communicate(timeout=20)

    assert process.returncode == -number
    assert "Traceback" not in out + err
    assert leftovers(cli.folder) == []


ROWS_THAT_NEVER_END = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    open("started", "w").close()
print("row", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda n: n.name)
def test_a_command_that_prints_rows_ends_with_the_runner(cli, number):
    variables = {"row": {"command": [sys.executable, "-c", ROWS_THAT_NEVER_END]}}
    spec = cli.write(load={"variables": variables, "request": {"path": "/${row}"}})
    process = start(cli, "execute", spec, "--out", "run", "--no-lock")
    deadline = time.monotonic() + 20
    while not (cli.folder / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(leftovers(cli.folder)) >= 4

    process.send_signal(number)
    out, err = process.communicate(timeout=20)

    assert process.returncode == -number
    assert "Traceback" not in out + err
    if number != signal.SIGKILL:
        assert f"{number.name}: ended what was started, before there were any results" in err
        assert leftovers(cli.folder) == []
    assert not (cli.folder / "run").exists()
    deadline = time.monotonic() + 15
    while leftovers(cli.folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert leftovers(cli.folder) == []


def test_a_module_is_the_command_too(cli):
    done = subprocess.run(
        [sys.executable, "-m", "runner", "--version"], cwd=cli.folder, env=os.environ | cli.environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.startswith("runner (Loadproof)")
