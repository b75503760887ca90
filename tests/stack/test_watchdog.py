"""Nothing outlives a runner, however it ended. The runners here are real processes, and are killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from runner.stack import run_record
from runner.stack.reaper import COOKIE, is_running, look_up, run_processes
from runner.stack.watchdog import open_watchdog
from tests.preloaded.client import popen
from tests.stack.conftest import eventually
from tests.stack.test_process import ESCAPES, STUBBORN

ROOT = Path(__file__).parents[2]


def watchdogs(run_id: str) -> list[int]:
    return [
        int(path.name)
        for path in Path("/proc").glob("[0-9]*")
        if f"watchdog_process\0{run_id}\0" in read(path / "cmdline")
    ]


def read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


@pytest.mark.parametrize("escape", ["pass", *ESCAPES.values()], ids=["nothing else", *ESCAPES])
async def test_a_killed_runner_leaves_nothing(run_id, escape):
    code = f"SLEEP, STUBBORN = ['sleep', '61'], ['sh', '-c', {STUBBORN!r}]\n{escape}\nserve(port)"
    command = [sys.executable, "-m", "tests.stack.runner_like", run_id, code]
    with popen(command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True) as runner:
        worker, app = map(int, (await trio.to_thread.run_sync(runner.stdout.readline)).split())
        roots = {pid: look_up(pid).started for pid in (worker, app)}
        await eventually(lambda: len(run_processes(run_id, roots)) >= (2 if escape == "pass" else 3))
        everything = run_processes(run_id, roots)

        runner.kill()

    await eventually(lambda: not any(map(is_running, everything)))
    await eventually(lambda: not watchdogs(run_id))


async def test_a_runner_killed_in_bring_up_leaves_nothing(run_id):
    command = [sys.executable, "-m", "tests.stack.runner_like", run_id, "time.sleep(63)"]
    with popen(command, cwd=ROOT, env=os.environ) as runner:
        await eventually(lambda: run_processes(run_id))

        runner.kill()

    await eventually(lambda: not run_processes(run_id) and not watchdogs(run_id))


async def test_signals_to_the_watchdog_do_not_stop_it(run_id):
    async with open_watchdog(run_id):
        (watchdog,) = watchdogs(run_id)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            os.kill(watchdog, number)
        process = start(["sleep", "63"], run_id)

    assert process.wait(timeout=5) == -signal.SIGTERM
    assert watchdogs(run_id) == []


async def test_leaving_ends_processes_that_are_still_registered(run_id):
    async with open_watchdog(run_id) as guard:
        registered, cookie_only = start(["sleep", "63"], None), start(["sleep", "63"], run_id)
        guard.process(registered.pid)

    assert registered.wait(timeout=5) == cookie_only.wait(timeout=5) == -signal.SIGTERM


async def test_a_forgotten_process_is_left_alone(run_id):
    process = start(["sleep", "63"], None)
    try:
        async with open_watchdog(run_id) as guard:
            guard.process(process.pid)
            guard.forget(process.pid)

        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


async def test_a_process_that_is_already_gone_may_be_registered(run_id):
    gone = start(["true"], None)
    gone.wait()

    async with open_watchdog(run_id) as guard:
        guard.process(gone.pid)


async def test_a_killed_watchdog_does_not_disturb_the_run(run_id):
    async with open_watchdog(run_id) as guard:
        os.kill(watchdogs(run_id)[0], signal.SIGKILL)
        await eventually(lambda: not watchdogs(run_id))
        for _ in range(3):
            guard.process(os.getpid())


async def test_a_nested_run_has_its_own_watchdog(run_id, monkeypatch):
    monkeypatch.setenv(COOKIE, f"{run_id}-outer")

    async with open_watchdog(run_id):
        (watchdog,) = watchdogs(run_id)
        environment = Path(f"/proc/{watchdog}/environ").read_text()

    assert COOKIE not in environment


async def test_the_watchdog_starts_without_the_heavy_libraries():
    code = "import sys, runner.stack.watchdog_process; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert not {"trio", "pydantic", "httpx", "docker", "psutil"} & set(loaded.split())


def start(command, run_id) -> subprocess.Popen:
    cookie = {COOKIE: run_id} if run_id else {}
    return subprocess.Popen(command, env=os.environ | cookie, start_new_session=True)


async def test_a_run_whose_watchdog_was_killed_ends_its_processes_itself(run_id, tmp_path, monkeypatch):
    monkeypatch.setattr(run_record, "_folders", lambda: iter([tmp_path]))
    tmp_path.chmod(0o700)
    async with open_watchdog(run_id) as guard:
        registered, cookie_only = start(["sleep", "63"], None), start(["sleep", "63"], run_id)
        guard.process(registered.pid)
        os.kill(watchdogs(run_id)[0], signal.SIGKILL)
        await eventually(lambda: not watchdogs(run_id))

    assert registered.wait(timeout=5) == cookie_only.wait(timeout=5) == -signal.SIGTERM
    assert run_record.read_records() == []


async def test_a_run_leaves_neither_a_record_nor_a_control_group(run_id):
    async with open_watchdog(run_id):
        (record,) = [record for record in run_record.read_records() if record.run_id == run_id]
        assert record.owner[0] == os.getpid()
        assert record.group is None or record.group.exists()

    assert not record.path.exists()
    assert record.group is None or not record.group.exists()


async def test_without_a_place_for_the_record_a_run_works(run_id, monkeypatch):
    monkeypatch.setattr(run_record, "_folders", lambda: iter([Path("/proc/loadproof")]))
    async with open_watchdog(run_id) as guard:
        registered = start(["sleep", "63"], None)
        guard.process(registered.pid)

    assert registered.wait(timeout=5) == -signal.SIGTERM
