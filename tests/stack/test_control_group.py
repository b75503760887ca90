"""Control groups of commands: they tell replicas apart, count what nobody waits for, and do not stay."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import trio
from click.testing import CliRunner

from runner.cli.clean import clean
from runner.core.codes import Role
from runner.experiment.model import App, ProcessTopology, Proxy
from runner.observe.readers import GroupReader, TreeReader, reader_for
from runner.stack import control_group, run_record, supervised
from runner.stack.control_group import create_group, members, remove_group
from runner.stack.process import open_process
from runner.stack.run_record import read_records
from tests.preloaded.client import popen
from tests.stack.conftest import eventually, python
from tests.stack.test_watchdog import ROOT, watchdogs

HIERARCHIES = {"version 2": "", "version 1": "cpuacct"}
DELEGABLE = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")

FORKS_TWICE = """
def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
def unwaited_children(seconds):
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in range(round(seconds / 0.1)):
        if os.fork() == 0:
            burn(0.1)
            os._exit(0)
        time.sleep(0.06)
    os._exit(0)
def fork_twice(function, *arguments):
    if os.fork():
        os.wait()
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    function(*arguments)
class Burner(Handler):
    def do_GET(self):
        if self.path.startswith("/burn/"):
            fork_twice(unwaited_children, float(self.path.removeprefix("/burn/")))
        self.path = "/healthz"
        super().do_GET()
Handler = Burner
"""
SERVE = FORKS_TWICE + "serve(port)"
SERVE_WITH_DAEMON = FORKS_TWICE + "fork_twice(time.sleep, 70)\nserve(port)"


@pytest.fixture(params=HIERARCHIES.values(), ids=HIERARCHIES)
def hierarchy(request, monkeypatch):
    """Use one hierarchy only, as on a host that has no other."""
    monkeypatch.setattr(control_group, "_HIERARCHIES", (request.param,))
    if create_group("probe") is None:
        pytest.skip(f"no control group can be made in {request.param or 'version 2'}")
    remove_group(create_group("probe"))
    return request.param


def replicas(code, number=2):
    app = App(command=python(code), ready_within="20s")
    proxy = Proxy(kind="nginx", workers=1) if number > 1 else None
    return ProcessTopology(kind="process", app=app, replicas=number, proxy=proxy)


async def burn(command, seconds):
    """Have a replica use CPU in processes that left it and that nobody waits for."""
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        await client.get(f"http://127.0.0.1:{command.port}/burn/{seconds}")


async def measured(stack, seconds):
    """Return the CPU that each replica used while it burned some seconds of it."""
    apps = [command for command in stack.commands if command.role is Role.APP]
    readers = [reader_for(command.subject) for command in apps]
    before = [reader.read().cpu_s for reader in readers]
    async with trio.open_nursery() as nursery:
        for command, burned_s in zip(apps, seconds, strict=True):
            nursery.start_soon(burn, command, burned_s)
    await eventually(lambda: all(len(members_of(command)) == 2 for command in apps), within=30)
    used = [reader.read().cpu_s - first for reader, first in zip(readers, before, strict=True)]
    return readers, used


def members_of(command):
    """Return the processes of a command's session, and the daemons that its parent has inherited."""
    children = Path(f"/proc/{command.process.parent.pid}/task/{command.process.parent.pid}/children")
    return [command.process.parent.pid, *children.read_text().split()]


@pytest.mark.nginx
async def test_each_of_two_replicas_that_fork_twice_has_its_own_cpu(ctx, hierarchy):
    async with open_process(replicas(SERVE), ctx) as stack:
        readers, (used_by_first, used_by_second) = await measured(stack, (0.6, 0.1))
        nginx = reader_for(stack.commands[-1].subject)

    assert [type(reader) for reader in (*readers, nginx)] == [GroupReader] * 3
    assert len({reader.group.cpu for reader in (*readers, nginx)}) == 3
    # more by what it costs this machine to fork and to respond, less than any of it counted twice or for both
    assert 0.57 <= used_by_first < 1.1
    assert 0.09 <= used_by_second < 0.5
    assert [reader.uncounted() for reader in readers] == [(), ()]


@pytest.mark.nginx
async def test_without_control_groups_the_note_says_what_is_not_counted(ctx, monkeypatch):
    monkeypatch.setattr(supervised, "create_group", lambda *_: None)
    async with open_process(replicas(SERVE), ctx) as stack:
        apps = stack.commands[:2]
        readers = [reader_for(command.subject) for command in apps]
        await burn(apps[0], 2.0)
        with trio.fail_after(10):
            while not readers[0].uncounted():
                readers[0].read()
                await trio.sleep(0.1)
        readers[1].read()

    assert [type(reader) for reader in readers] == [TreeReader] * 2
    assert "because nothing waits for them" in readers[0].uncounted()[0]
    assert readers[1].uncounted() == ()


@pytest.mark.nginx
async def test_the_groups_of_all_commands_are_removed_with_the_stack(ctx, hierarchy):
    async with open_process(replicas(SERVE_WITH_DAEMON), ctx) as stack:
        whole = create_group(ctx.run_id)
        assert {folder.name for folder in whole.iterdir() if folder.is_dir()} == {"app-1", "app-2", "nginx"}
        inside = members(whole)
        assert {command.pid for command in stack.commands} < inside
        assert os.getpid() not in inside

    assert not whole.exists()


@pytest.fixture
def victim(run_id, hierarchy, tmp_path, monkeypatch):
    """A runner with an app and a daemon, to be killed, whose record is apart from those of other runs."""
    monkeypatch.setattr(run_record, "_folders", lambda: iter([tmp_path]))
    tmp_path.chmod(0o700)
    places = {"LOADPROOF_TEST_RUNTIME": str(tmp_path), "LOADPROOF_TEST_HIERARCHY": hierarchy}
    command = [sys.executable, "-m", "tests.stack.runner_like", run_id, SERVE_WITH_DAEMON]
    with popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ | places) as runner:
        yield runner
        runner.kill()


async def group_of_the_app(runner, run_id):
    """Return the run's group, once the app's group in it has its three members: parent, app and daemon."""
    await trio.to_thread.run_sync(runner.stdout.readline)
    whole = create_group(run_id)
    await eventually(lambda: len(members(whole / "app")) == 3)
    return whole


async def test_the_watchdog_removes_the_groups_of_a_killed_run(run_id, victim):
    whole = await group_of_the_app(victim, run_id)

    victim.kill()

    await eventually(lambda: not watchdogs(run_id))
    assert not whole.exists()


@pytest.mark.parametrize("processes", ["live", "killed"])
async def test_clean_removes_the_groups_of_a_run_whose_watchdog_was_killed(
    run_id, victim, processes, monkeypatch
):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    whole = await group_of_the_app(victim, run_id)
    os.kill(watchdogs(run_id)[0], signal.SIGKILL)
    victim.kill()
    victim.wait()
    if processes == "killed":
        for pid in members(whole):
            with contextlib.suppress(ProcessLookupError):  # the parent ends with its last descendant
                os.kill(pid, signal.SIGKILL)
    assert (whole / "app").exists()
    assert [record.group for record in read_records()] == [whole]

    await trio.to_thread.run_sync(lambda: CliRunner().invoke(clean, [], standalone_mode=False))

    assert not whole.exists()
    assert read_records() == []


def test_a_group_in_which_resources_are_divided_is_not_used(tmp_path):
    (tmp_path / "cgroup.subtree_control").write_text("cpu pids\n")
    assert control_group._divides(tmp_path)

    (tmp_path / "cgroup.subtree_control").write_text("pids\n")
    assert not control_group._divides(tmp_path)


def test_a_group_is_removed_although_its_last_member_ends_only_now(run_id, hierarchy):
    group = create_group(run_id, "app")
    with subprocess.Popen(["sleep", "71"]) as process:
        (group / "cgroup.procs").write_text(str(process.pid))
        process.kill()
        remove_group(group.parent)

    assert not group.parent.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can delegate a group and become another user")
@pytest.mark.parametrize("delegated", [True, False])
def test_a_user_has_control_groups_where_root_delegated_one(run_id, delegated):
    """As cgroups(7) describes it: the user owns the folder, and the files in it that move processes."""
    root = next(Path(place) for place in DELEGABLE if (Path(place) / "cgroup.procs").exists())
    whole = root / f"delegated-{run_id}"
    whole.mkdir()
    if delegated:
        for place in (whole, whole / "cgroup.procs", whole / "cgroup.subtree_control", whole / "tasks"):
            if place.exists():
                os.chown(place, 65534, 65534)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            (whole / "cgroup.procs").write_text("0")
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            group = create_group(run_id, "app")
            if group:
                (group / "cgroup.procs").write_text("0")
            seen = f"{group} {group is not None and os.getpid() in members(group)}"
            os.write(writer, seen.encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        seen = pipe.read()
    os.waitpid(child, 0)
    remove_group(whole)

    folder = whole / f"loadproof-{run_id}" / "app"
    assert (seen == f"{folder} True") is delegated
    assert str(whole) in seen or not delegated
    assert not whole.exists()
