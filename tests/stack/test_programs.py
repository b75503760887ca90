"""Programs inside parts of a stack on this host: their environment, their end, and what they leave behind."""

import sys

import pytest
import trio

from runner.core.errors import EnvironmentLacks
from runner.experiment.external_topology import ExternalTopology
from runner.stack.external import open_external
from runner.stack.process import open_process
from runner.stack.programs import Programs
from runner.stack.reaper import run_processes
from tests.stack.conftest import eventually, python, topology

GOOD = python("serve(port)")
LEAVES_DAEMONS = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99)"], start_new_session=True, env={})
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(99)
    os._exit(0)
print("started", flush=True)
"""


async def run(stack, *argv, part="app", within=20.0, **env):
    return await stack.run_inside(part, argv, env=env, within=within)


async def test_a_program_has_the_environment_of_its_part_and_its_output_is_kept(ctx):
    async with open_process(topology(GOOD, env={"COLOUR": "green"}), ctx) as stack:
        assert stack.parts == ("app",)

        result = await run(stack, "sh", "-c", 'echo "$COLOUR $SHAPE"; echo no >&2; exit 3', SHAPE="round")

        assert (result.status, result.output) == (3, ("green round", "no"))
        assert (await run(stack, "sh", "-c", "kill -9 $$")).status == -9


async def test_a_secret_of_the_app_is_masked_in_the_output(ctx, monkeypatch):
    monkeypatch.setenv("TOKEN", "s3cr3t-s3cr3t")
    async with open_process(topology(GOOD, env_from=["TOKEN"]), ctx) as stack:
        assert (await run(stack, "sh", "-c", "echo $TOKEN")).output == ("[TOKEN]",)


async def test_a_program_that_takes_too_long_is_ended_with_everything_that_it_started(ctx):
    async with open_process(topology(GOOD), ctx) as stack:
        before = run_processes(ctx.run_id)
        with pytest.raises(TimeoutError) as raised:
            await run(stack, sys.executable, "-c", LEAVES_DAEMONS + "time.sleep(99)", within=1.0)

        assert raised.value.args[0] == "started"
        assert run_processes(ctx.run_id) == before


async def test_a_cancelled_program_is_ended_with_everything_that_it_started(ctx):
    async with open_process(topology(GOOD), ctx) as stack:
        before = run_processes(ctx.run_id)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, stack, sys.executable, "-c", LEAVES_DAEMONS + "time.sleep(99)")
            await eventually(lambda: len(run_processes(ctx.run_id)) >= len(before) + 4)
            nursery.cancel_scope.cancel()

        assert run_processes(ctx.run_id) == before


async def test_what_a_program_leaves_running_ends_at_the_end(ctx):
    programs = Programs(ctx)
    await programs.run([sys.executable, "-c", LEAVES_DAEMONS], {}, within=20.0, secrets={})
    assert run_processes(ctx.run_id)
    assert ctx.guard.guarded

    await programs.close()

    assert run_processes(ctx.run_id) == set()
    assert ctx.guard.guarded == set()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no-such-program"], "command not found: no-such-program"),
        (["./no-such-program"], "./no-such-program does not exist"),
        (["/etc/passwd"], "/etc/passwd is not executable"),
        (["echo", "a\0b"], "contains a NUL character"),
    ],
    ids=["name", "path", "file", "nul"],
)
async def test_a_program_that_cannot_be_run_is_an_error_without_a_key_of_the_app(ctx, words, message):
    with pytest.raises(EnvironmentLacks) as raised:
        await Programs(ctx).run(words, {"PATH": "/bin:/usr/bin"}, within=20.0, secrets={})

    assert message in raised.value.message
    assert "topology" not in raised.value.message


async def test_a_part_that_does_not_exist_is_an_error_with_a_suggestion(ctx):
    async with open_process(topology(GOOD), ctx) as stack:
        with pytest.raises(EnvironmentLacks, match="no part 'apq'") as raised:
            await run(stack, "true", part="apq")
        assert raised.value.hint == "did you mean 'app'?"
        external = ExternalTopology(kind="external", url=f"http://127.0.0.1:{stack.endpoint.port}")
        async with open_external(external, ctx) as service:
            assert service.parts == ()
            with pytest.raises(EnvironmentLacks, match="the run started none"):
                await run(service, "true")
