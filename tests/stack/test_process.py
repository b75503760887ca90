"""Real commands with real faults: what is reported, and what is left afterwards."""

import json
import os
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import trio

from runner.core.codes import Role
from runner.core.errors import EnvironmentLacks, StackFailed
from runner.experiment.model import App, ProcessTopology, Proxy
from runner.stack.process import open_process
from runner.stack.reaper import is_running, look_up, run_processes, start_ticks
from tests.stack.conftest import eventually, python, topology
from tests.stack.refusal import failure

pytestmark = pytest.mark.usefixtures("enough_memory")
GOOD = python("serve(port)")


async def failure_once_started(command, ctx, started, **app) -> EnvironmentLacks:
    """Return why a command was not ready, given as much time as this machine needs to start it at all."""
    for seconds in (0.5, 2, 8, 30):
        error = await failure(topology(command, ready_within=f"{seconds}s", **app), ctx)
        if started(error):
            break
    assert f"was not ready within {seconds:g} s" in error.message
    return error


async def test_a_command_comes_up_responds_and_is_gone_afterwards(ctx):
    async with open_process(topology(GOOD), ctx) as stack:
        async with httpx.AsyncClient(trust_env=False) as client:
            response = await client.get(f"http://{stack.endpoint.host}:{stack.endpoint.port}/healthz")
        (subject,) = stack.subjects
        assert ctx.guard.guarded == {subject.pid, look_up(subject.pid).parent}

    assert response.status_code == 200
    assert (subject.name, subject.role, subject.kind) == ("app", Role.APP, "tree")
    assert stack.description.command[-1] == str(stack.endpoint.port)
    assert ctx.guard.guarded == set()
    assert look_up(subject.pid) is None


async def test_the_subject_is_identified_by_pid_and_start_time(ctx):
    async with open_process(topology(GOOD), ctx) as stack:
        (subject,) = stack.subjects

        assert subject.started == start_ticks(subject.pid)


async def test_a_command_and_its_threads_are_pinned_to_the_given_processors(ctx):
    last = max(os.sched_getaffinity(0))
    code = "threading.Thread(target=time.sleep, args=[99], daemon=True).start(); serve(port)"
    pinned = topology(python(code)).model_copy(update={"cpus": (last,)})

    async with open_process(pinned, ctx) as stack:
        tasks = [int(path.name) for path in Path(f"/proc/{stack.subjects[0].pid}/task").iterdir()]

        assert len(tasks) > 1
        assert {frozenset(os.sched_getaffinity(task)) for task in tasks} == {frozenset({last})}
    assert stack.description.cpus == (last,)


async def test_environment_and_port_reach_the_command(ctx):
    record = ctx.scratch / "record.json"
    code = f"import json; json.dump([dict(os.environ), os.getcwd()], open({str(record)!r}, 'w')); serve(port)"

    async with open_process(topology(python(code), env={"COLOUR": "red", "BIND": ":{port}"}), ctx) as stack:
        environment, folder = json.loads(record.read_text())

    assert environment["COLOUR"] == "red"
    assert environment["BIND"] == f":{stack.endpoint.port}"
    assert environment["LOADPROOF_RUN"] == ctx.run_id
    assert environment["PATH"] == os.environ["PATH"]
    assert folder == str(Path.cwd())


async def test_values_of_the_environment_are_not_in_the_description(ctx):
    async with open_process(topology(GOOD, env={"DB_PASSWORD": "hunter2"}), ctx) as stack:
        assert "hunter2" not in str(stack.description)
        assert stack.description.env_names == ("DB_PASSWORD",)


async def test_a_missing_command_is_named(ctx):
    error = await failure(topology(["no-such-command", "{port}"]), ctx)

    assert "command not found: no-such-command" in error.message
    assert error.hint


async def test_without_the_app_extra_the_hint_says_how_to_install_it(ctx, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setenv("PATH", "/nowhere")

    error = await failure(topology(["app-server", "{port}"]), ctx)

    assert "pip install 'loadproof[app]'" in error.hint


async def test_a_command_beside_the_runner_needs_no_activated_environment(ctx, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")

    async with open_process(topology(["app-server", "--port", "{port}"]), ctx) as stack:
        assert stack.broken is None


async def test_a_file_without_execute_permission_gets_a_hint(ctx):
    script = ctx.scratch / "serve.sh"
    script.write_text("#!/bin/sh\n")

    error = await failure(topology([str(script), "{port}"]), ctx)

    assert "is not executable" in error.message
    assert error.hint == f"make it executable: chmod +x {script}"


@pytest.mark.parametrize(
    ("first_line", "words"),
    [("echo no interpreter", "a first line such as #!/bin/sh"), ("#!/no/such/interpreter", "interpreter")],
)
async def test_a_script_the_system_cannot_start_is_explained(ctx, first_line, words):
    script = ctx.scratch / "serve.sh"
    script.write_text(first_line + "\n")
    script.chmod(0o755)

    error = await failure(topology([str(script), "{port}"]), ctx)

    assert "cannot be run" in error.message
    assert words in error.hint


async def test_a_missing_path_gets_a_hint_about_the_current_directory(ctx):
    error = await failure(topology(["./bin/nothing", "{port}"]), ctx)

    assert "./bin/nothing does not exist" in error.message
    assert str(Path.cwd()) in error.hint


async def test_a_command_line_in_one_word_gets_a_hint_to_split_it(ctx):
    error = await failure(topology(["my-server --port {port}"]), ctx)

    assert "as separate items: [my-server, --port, " in error.hint


async def test_an_exit_at_start_is_reported_at_once_with_the_last_output(ctx):
    code = "print('no database', file=sys.stderr); sys.exit(7)"

    with trio.fail_after(50):
        error = await failure(topology(python(code), ready_within="60s"), ctx)

    assert "exited with status 7 before http://127.0.0.1:" in error.message
    assert error.details == ("no database",)


async def test_a_command_that_ends_before_it_was_reported_as_started_is_reported(ctx):
    for _ in range(5):
        error = await failure(topology(["/bin/sh", "-c", "exit 9", "{port}"]), ctx)

        assert "exited with status 9" in error.message


async def test_an_exit_without_output_is_reported_as_such(ctx):
    error = await failure(topology(python("sys.exit(1)")), ctx)

    assert "printed nothing" in error.hint


async def test_a_command_that_goes_into_the_background_gets_a_hint(ctx):
    code = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)"

    error = await failure(topology(python(code)), ctx)

    assert "exited with status 0" in error.message
    assert "foreground" in error.hint


async def test_a_death_by_signal_at_start_names_the_signal(ctx):
    error = await failure(topology(python("os.kill(os.getpid(), signal.SIGSEGV)")), ctx)

    assert "was killed by SIGSEGV" in error.message


async def test_a_health_path_without_2xx_is_reported_with_the_last_status(ctx):
    error = await failure_once_started(GOOD, ctx, lambda error: "404" in error.message, health="/ready")

    assert "/ready" in error.message
    assert "404" in error.message


async def test_listening_on_another_port_is_reported(ctx):
    listens = lambda error: "instead of" in error.hint  # noqa: E731
    error = await failure_once_started(python("serve(0)"), ctx, listens)

    assert "instead of 127.0.0.1:" in error.hint


async def test_never_listening_is_reported(ctx):
    code = "print('thinking', flush=True); time.sleep(60)"
    error = await failure_once_started(python(code), ctx, lambda error: error.details)

    assert "nothing listens there" in error.message
    assert error.details == ("thinking",)


async def test_a_fixed_port_in_use_names_its_holder_and_starts_nothing(ctx):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        error = await failure(topology(GOOD, port=port), ctx)

    assert f"port {port} is already in use by " in error.message
    assert f"(pid {os.getpid()})" in error.message


async def test_a_fixed_port_is_used(ctx):
    with socket.create_server(("127.0.0.1", 0)) as chosen:
        port = chosen.getsockname()[1]

    async with open_process(topology(python("serve(port)", str(port)), port=port), ctx) as stack:
        assert stack.endpoint.port == port


async def test_a_port_in_use_that_only_the_command_notices_is_explained(ctx):
    code = "print('OSError: [Errno 98] Address already in use', file=sys.stderr); sys.exit(1)"

    error = await failure(topology(python(code)), ctx)

    assert "seems to be in use" in error.hint


async def test_another_process_on_the_port_is_not_mistaken_for_the_app(ctx, monkeypatch):
    """The port was free when it was checked, and an older process took it before the app could."""
    async with open_process(topology(GOOD), ctx) as other:
        taken = other.endpoint.port
        monkeypatch.setattr("runner.stack.process_services.is_free", lambda _: True)

        error = await failure(topology(python("time.sleep(60)"), port=taken), ctx_of_another_run(ctx))

    assert f" listens on port {taken} instead of the app " in error.message
    assert f"(pid {other.commands[0].pid})" in error.message


def ctx_of_another_run(ctx):
    return replace(ctx, run_id=ctx.run_id + "-other")


async def test_death_after_bring_up_is_an_event_with_the_last_output(ctx):
    code = (
        "threading.Timer(0.3, lambda: (print('out of here', flush=True), os._exit(3))).start(); serve(port)"
    )

    async with open_process(topology(python(code)), ctx) as stack:
        with trio.fail_after(10):
            event = await stack.wait_broken()

        assert stack.broken == event
    assert event.code == "app-died"
    assert event.message.endswith("exited with status 3")
    assert event.log == ("out of here",)


async def test_several_tasks_can_wait_for_a_death_and_be_cancelled(ctx):
    async with open_process(topology(GOOD), ctx) as stack:
        with trio.move_on_after(0.1) as scope:
            await stack.wait_broken()
        assert scope.cancelled_caught

        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(stack.wait_broken)
                await trio.sleep(0.1)
                os.kill(stack.subjects[0].pid, signal.SIGKILL)
        assert stack.broken.message.endswith("was killed by SIGKILL")


async def test_a_kill_after_bring_up_names_the_signal(ctx):
    async with open_process(topology(GOOD), ctx) as stack:
        assert stack.broken is None
        os.kill(stack.subjects[0].pid, signal.SIGKILL)
        with trio.fail_after(10):
            event = await stack.wait_broken()

    assert event.message.endswith("was killed by SIGKILL")


async def test_a_kill_for_lack_of_memory_is_reported_as_such(ctx, monkeypatch):
    async with open_process(topology(GOOD), ctx) as stack:
        monkeypatch.setattr("runner.stack.diagnosis.oom_kills", lambda: 10**9)
        os.kill(stack.subjects[0].pid, signal.SIGKILL)
        with trio.fail_after(10):
            event = await stack.wait_broken()

    assert event.code == "out-of-memory"


@pytest.mark.nginx
async def test_replicas_share_the_load_behind_nginx(ctx):
    spec = ProcessTopology(
        kind="process",
        app=App(command=python("serve(port)"), metrics="/metrics"),
        replicas=2,
        proxy=Proxy(keepalive=4, workers=1),
    )
    async with open_process(spec, ctx) as stack:
        names = [(subject.name, subject.role) for subject in stack.subjects]
        async with httpx.AsyncClient(trust_env=False) as client:
            response = await client.get(f"http://127.0.0.1:{stack.endpoint.port}/healthz")
            status = await client.get(stack.status_urls["nginx"])
        roots = {subject.pid: subject.started for subject in stack.subjects}
        everything = run_processes(ctx.run_id, roots)

    assert names == [("app-1", Role.APP), ("app-2", Role.APP), ("nginx", Role.PROXY)]
    assert response.status_code == status.status_code == 200
    assert sorted(stack.metrics_urls) == ["app-1", "app-2"]
    assert stack.description.proxy.keepalive == 4
    assert len(everything) == 7  # nginx has a worker, and each command a parent
    assert not any(map(is_running, everything))


@pytest.mark.nginx
async def test_a_killed_nginx_leaves_no_workers_and_is_a_stack_failure(ctx):
    spec = ProcessTopology(kind="process", app=App(command=GOOD), proxy=Proxy(workers=2))
    async with open_process(spec, ctx) as stack:
        nginx = stack.subjects[-1]
        everything = run_processes(ctx.run_id, {nginx.pid: nginx.started})
        os.kill(nginx.pid, signal.SIGKILL)
        with trio.fail_after(10):
            event = await stack.wait_broken()

    assert (event.code, event.message) == ("stack-failed", "nginx was killed by SIGKILL")
    assert not any(map(is_running, everything))


async def test_a_death_is_noticed_without_waiting_for_it(ctx):
    async with open_process(topology(GOOD), ctx) as stack:
        os.kill(stack.subjects[0].pid, signal.SIGKILL)
        await eventually(lambda: stack.broken is not None)


async def test_an_error_in_the_block_is_raised_unchanged(ctx):
    with pytest.raises(StackFailed, match="mine"):
        async with open_process(topology(GOOD), ctx):
            raise StackFailed("mine")


async def test_cancelling_the_bring_up_leaves_nothing(ctx):
    with trio.move_on_after(0.5) as scope:
        async with open_process(topology(python("time.sleep(60)")), ctx):
            pytest.fail("it came up")

    assert scope.cancelled_caught
    assert run_processes(ctx.run_id) == set()


async def test_the_command_can_shut_down_on_sigterm(ctx):
    left = ctx.scratch / "left"
    code = f"signal.signal(15, lambda *_: (open({str(left)!r}, 'w').close(), sys.exit(0))); serve(port)"

    async with open_process(topology(python(code)), ctx):
        pass

    assert left.exists()


STUBBORN = "trap : TERM; while :; do /bin/sleep 61; done"
ESCAPES = {
    "a child in the group": "subprocess.Popen(SLEEP)",
    "a child in a session of its own": "subprocess.Popen(SLEEP, start_new_session=True)",
    "an orphan in a session of its own": "subprocess.Popen(['sh', '-c', 'setsid sleep 61 & exit'])",
    "an orphan without the cookie, in the group": "subprocess.Popen(['sh', '-c', 'env -i sleep 61 & exit'])",
    "a child without the cookie, in a session of its own": (
        "subprocess.Popen(SLEEP, start_new_session=True, env={})"
    ),
    "a child that ignores SIGTERM": "subprocess.Popen(STUBBORN)",
    "the same without the cookie, in a session of its own": (
        "subprocess.Popen(STUBBORN, start_new_session=True, env={})"
    ),
}


@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES)
async def test_descendants_are_ended_however_they_detached(ctx, escape, monkeypatch):
    monkeypatch.setattr("runner.stack.process._GRACE_S", 0.3)
    code = f"SLEEP, STUBBORN = ['sleep', '61'], ['sh', '-c', {STUBBORN!r}]\n{escape}\nserve(port)"

    async with open_process(topology(python(code)), ctx) as stack:
        root = stack.subjects[0]
        await eventually(lambda: len(run_processes(ctx.run_id, {root.pid: root.started})) > 1)
        kin = run_processes(ctx.run_id, {root.pid: root.started})

    assert [process for process in kin if is_running(process)] == []


async def test_a_command_that_ignores_sigterm_is_killed(ctx, monkeypatch):
    monkeypatch.setattr("runner.stack.process._GRACE_S", 0.3)
    code = "signal.signal(signal.SIGTERM, signal.SIG_IGN); serve(port)"

    with trio.fail_after(50):
        async with open_process(topology(python(code)), ctx) as stack:
            pass

    assert look_up(stack.subjects[0].pid) is None


async def test_endless_output_uses_bounded_memory_and_no_disk(ctx):
    code = """
def shout():
    while True:
        os.write(1, b"x" * 99 + b"\\n")
threading.Thread(target=shout, daemon=True).start()
serve(port)
"""
    async with open_process(topology(python(code)), ctx) as stack:
        output = stack.commands[0].output
        await eventually(lambda: written_by(stack.subjects[0].pid) > 20_000_000)

        assert output._kept < 512 * 1024
        assert list(ctx.scratch.iterdir()) == []
        assert output.lines(3)[0] == "x" * 99


def written_by(pid) -> int:
    return int(Path(f"/proc/{pid}/io").read_text().partition("wchar: ")[2].split()[0])


async def test_a_process_of_another_run_is_left_alone(ctx):
    async with open_process(topology(GOOD), ctx) as stack:
        async with open_process(topology(GOOD), ctx_of_another_run(ctx)):
            pass

        assert stack.broken is None


@pytest.fixture
def strange_folder(tmp_path, monkeypatch):
    """A working directory whose name is not UTF-8."""
    folder = tmp_path / os.fsdecode(b"caf\xe9-\xff")
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


async def test_a_working_directory_whose_name_is_not_utf_8_is_no_obstacle(ctx, strange_folder, monkeypatch):
    monkeypatch.setenv("STRANGE", os.fsdecode(b"\xe9\xff"))
    script = strange_folder / "serve"
    code = "open('env', 'wb').write(os.environb[b'STRANGE'] + os.getcwdb()); serve(port)"
    script.write_text(f"#!{sys.executable}\n{python(code)[2]}")
    script.chmod(0o755)

    async with open_process(topology(["./serve", "{port}"]), ctx) as stack:
        assert stack.broken is None

    assert (strange_folder / "env").read_bytes() == b"\xe9\xff" + os.fsencode(strange_folder)


async def test_a_hint_about_such_a_directory_can_be_printed(ctx, strange_folder):
    error = await failure(topology(["./nothing", "{port}"]), ctx)

    assert r"caf\xe9-\xff" in error.hint


@pytest.mark.nginx
async def test_a_scratch_folder_whose_name_is_not_utf_8_is_no_obstacle(ctx, strange_folder):
    spec = ProcessTopology(kind="process", app=App(command=GOOD), proxy=Proxy(workers=1))
    kept = {}

    async with open_process(
        spec, replace(ctx, scratch=strange_folder, keep_rendered=kept.__setitem__)
    ) as stack:
        assert stack.broken is None

    assert b"caf\xe9-\xff" in kept["nginx.conf"]


SIGNALS = "print([int(signal.getsignal(n) == signal.SIG_IGN) for n in (1, 2, 3, 13, 15, 17, 25)], flush=True)"


async def test_a_command_inherits_ignored_signals_and_only_these(ctx):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        async with open_process(topology(python(f"{SIGNALS}; serve(port)")), ctx) as stack:
            await eventually(stack.commands[0].output.lines)
            # Python itself ignores SIGPIPE and SIGXFSZ at its start
            assert stack.commands[0].output.lines() == ("[1, 0, 0, 1, 0, 0, 1]",)
    finally:
        signal.signal(signal.SIGHUP, before)


async def test_a_command_has_no_descriptors_but_its_three(ctx):
    code = "print(sorted(os.listdir('/proc/self/fd')), flush=True); serve(port)"
    async with open_process(topology(python(code)), ctx) as stack:
        await eventually(stack.commands[0].output.lines)
        pid = stack.subjects[0].pid

        assert stack.commands[0].output.lines() == ("['0', '1', '2', '3']",)  # 3 is the folder that is read
        assert os.getsid(pid) == os.getpgid(pid) == pid


async def test_a_nul_in_a_word_is_refused(ctx):
    app = App.model_construct(**{**topology(GOOD).app.__dict__, "command": ("echo", "a\0b")})

    error = await failure(ProcessTopology.model_construct(app=app, replicas=1, cpus=(), proxy=None), ctx)

    assert "contains a NUL character" in error.message


async def test_the_last_lines_of_each_replica_are_known_while_they_run_and_masked(ctx, monkeypatch):
    monkeypatch.setenv("TOKEN", "hunter2-token")
    code = "[print(n, os.environ['TOKEN'], flush=True) for n in range(9)]; serve(port)"
    replicated = topology(python(code), env_from=["TOKEN"]).model_copy(update={"replicas": 2})

    async with open_process(replicated, ctx) as stack:
        output = await stack.app_output()

        assert stack.secrets == {"TOKEN": "hunter2-token"}
        assert "hunter2" not in repr(stack)
    assert output == tuple(f"{n} [TOKEN]" for n in (4, 5, 6, 7, 8)) * 2
