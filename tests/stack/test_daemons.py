"""Programs that detach completely: another session, another parent, no mark. None outlives its run."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

from runner.cli.clean import clean
from runner.stack import control_group, run_record, supervised
from runner.stack.leftovers import end_leftovers
from runner.stack.process import open_process
from runner.stack.reaper import SUPERVISOR, is_running, look_up, run_processes
from runner.stack.run_record import read_records
from runner.stack.watchdog import open_watchdog
from tests.preloaded.client import popen
from tests.stack.conftest import eventually, python, topology
from tests.stack.daemon import DAEMON
from tests.stack.test_watchdog import ROOT, watchdogs

SERVE = DAEMON + "daemonise()\nserve(port)"
STUBBORN = DAEMON + "daemonise(ignore_sigterm=True)\nserve(port)"


@pytest.fixture(params=["control group", "ancestry"])
def by(request, monkeypatch):
    """Find processes by the run's control group, or where there is none."""
    if request.param == "ancestry":
        monkeypatch.setenv("NO_CONTROL_GROUP", "1")
        monkeypatch.setattr(supervised, "create_group", lambda *_: None)
    elif control_group.create_group("probe") is None:
        pytest.skip("no control group can be made here")
    control_group.remove_group(control_group.create_group("probe"))
    return request.param


@pytest.fixture(autouse=True)
def runtime_folder(tmp_path, monkeypatch):
    """Keep the records of these tests apart from those of other runs."""
    folder = tmp_path / "runtime"
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(run_record, "_folders", lambda: iter([folder]))
    monkeypatch.setenv("LOADPROOF_TEST_RUNTIME", str(folder))
    return folder


def daemon_of(port):
    """Return the daemon that the app on this port started, found by its name alone."""
    processes = (look_up(int(path.name)) for path in Path("/proc").glob("[0-9]*"))
    name = f"daemon-{port}"
    return next((process for process in processes if process and process.name == name), None)


async def daemon_appears(port):
    await eventually(lambda: daemon_of(port))
    daemon = daemon_of(port)
    await eventually(lambda: Path(f"/proc/{daemon.pid}/environ").read_bytes().strip(b"\0") == b"")
    return daemon


@pytest.mark.parametrize("code", [SERVE, STUBBORN], ids=["willing", "stubborn"])
async def test_a_daemon_ends_with_its_stack(ctx, by, code, monkeypatch):
    monkeypatch.setattr("runner.stack.process._GRACE_S", 0.3)

    async with open_process(topology(python(code)), ctx) as stack:
        daemon = await daemon_appears(stack.endpoint.port)
        assert look_up(look_up(daemon.pid).parent).name == SUPERVISOR

    assert not is_running(daemon)


@pytest.mark.parametrize("by", ["control group"], indirect=True)  # nothing else leads to the daemon then
async def test_a_daemon_ends_even_after_its_app_and_their_parent_were_killed(ctx, by):
    async with open_process(topology(python(SERVE)), ctx) as stack:
        daemon = await daemon_appears(stack.endpoint.port)
        (command,) = stack.commands
        os.kill(command.process.parent.pid, signal.SIGKILL)
        await trio.sleep(0.2)
        assert stack.broken is None
        os.kill(command.pid, signal.SIGKILL)
        with trio.fail_after(5):
            event = await stack.wait_broken()
        assert "ended in an unknown way" in event.message
        assert is_running(daemon)

    assert not is_running(daemon)


async def test_a_daemon_ends_after_its_app_exited(ctx, by):
    code = DAEMON + "daemonise()\nthreading.Timer(1, lambda: os._exit(4)).start()\nserve(port)"
    async with open_process(topology(python(code)), ctx) as stack:
        daemon = await daemon_appears(stack.endpoint.port)
        with trio.fail_after(10):
            event = await stack.wait_broken()
        assert event.message.endswith("exited with status 4")
        assert is_running(daemon)

    assert not is_running(daemon)


@pytest.fixture
def victim(run_id, by):
    """A runner with an app and a daemon, to be killed."""
    command = [sys.executable, "-m", "tests.stack.runner_like", run_id, SERVE]
    with popen(command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True) as runner:
        yield runner
        runner.kill()


async def app_and_daemon(runner):
    line = await trio.to_thread.run_sync(runner.stdout.readline)
    app = look_up(int(line.split()[1]))
    port = Path(f"/proc/{app.pid}/cmdline").read_text().split("\0")[-2]
    return app, await daemon_appears(port)


async def test_a_daemon_ends_after_the_runner_was_killed(run_id, victim):
    app, daemon = await app_and_daemon(victim)

    victim.kill()

    await eventually(lambda: not is_running(app) and not is_running(daemon))
    await eventually(lambda: not watchdogs(run_id))
    assert read_records() == []


async def killed_with_watchdog(run_id, victim):
    processes = await app_and_daemon(victim)
    os.kill(watchdogs(run_id)[0], signal.SIGKILL)
    victim.kill()
    victim.wait()
    await trio.sleep(0.2)
    assert all(map(is_running, processes))
    return processes


async def test_clean_ends_what_a_killed_runner_and_its_killed_watchdog_left(run_id, victim, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    app, daemon = await killed_with_watchdog(run_id, victim)

    result = await trio.to_thread.run_sync(lambda: CliRunner().invoke(clean, [], standalone_mode=False))

    assert f"ended {daemon.name} (pid {daemon.pid})\n" in result.stdout
    assert f"(pid {app.pid})\n" in result.stdout
    assert SUPERVISOR not in result.stdout
    assert "there is nothing to remove" not in result.output
    assert not is_running(app)
    assert not is_running(daemon)
    assert run_processes(run_id) == set()
    assert read_records() == []

    again = await trio.to_thread.run_sync(lambda: CliRunner().invoke(clean, [], standalone_mode=False))

    assert again.stdout == ""
    assert run_id not in again.output


async def test_the_next_run_ends_what_an_earlier_one_left(run_id, victim):
    app, daemon = await killed_with_watchdog(run_id, victim)

    async with open_watchdog(run_id + "-next"):
        assert not is_running(app)
        assert not is_running(daemon)


async def test_clean_spares_the_processes_of_a_live_run(run_id, victim):
    app, daemon = await app_and_daemon(victim)

    assert await trio.to_thread.run_sync(end_leftovers) == []

    assert is_running(app)
    assert is_running(daemon)
    assert victim.poll() is None
    victim.kill()
    await eventually(lambda: not watchdogs(run_id))


@pytest.mark.nginx
async def test_an_nginx_that_goes_into_the_background_ends_with_its_stack(ctx, by):
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/usr/local/sbin")
    conf = ctx.scratch / "nginx.conf"
    folder = ctx.scratch
    conf.write_text(
        f"pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 2; daemon on;\n"
        f"events {{}}\nhttp {{ access_log off; server {{ listen unix:{folder}/socket; }} }}\n"
    )
    code = f"subprocess.run([{nginx!r}, '-p', {str(folder)!r}, '-c', {str(conf)!r}], check=True)\nserve(port)"

    async with open_process(topology(python(code)), ctx) as stack:
        await eventually(lambda: (folder / "nginx.pid").read_text().strip())
        master = look_up(int((folder / "nginx.pid").read_text()))
        assert ctx.run_id.encode() not in Path(f"/proc/{master.pid}/environ").read_bytes()
        kin = run_processes(None, stack.commands[0].roots)
        assert len([process for process in kin if process.name == "nginx"]) == 3

    assert not any(map(is_running, kin))
