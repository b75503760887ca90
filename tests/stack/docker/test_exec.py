"""Programs inside containers: their environment, their output, their end."""

from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from runner.core.errors import EnvironmentLacks
from runner.stack.docker import open_docker
from tests.stack.docker.conftest import topology

pytestmark = pytest.mark.docker

MARK = "LOADPROOF_EXEC="
LEAVES_ORPHANS = "(setsid sleep 98 & ) ; sleep 97 & echo started; sleep 99"


def marked_processes(stack) -> int:
    """Return how many processes in the container of a stack were started inside it later."""
    inside = Path(f"/proc/{stack.containers[0].pid}/ns/pid").readlink()
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "ns" / "pid").readlink() == inside:
                count += MARK.encode() in (process / "environ").read_bytes()
        except OSError:
            continue
    return count


async def run(stack, *argv, within=30.0, part="app", **env):
    return await stack.run_inside(part, argv, env=env, within=within)


@asynccontextmanager
async def stack_of(context):
    app = {"env": {"COLOUR": "green"}, "env_from": ["TOKEN"]}
    async with open_docker(topology(app=app), context) as stack:
        yield stack


async def test_programs_run_inside_the_container_of_a_part(context, left_over, monkeypatch):
    monkeypatch.setenv("TOKEN", "s3cr3t-s3cr3t")
    async with stack_of(context) as stack:
        assert stack.parts == ("app",)
        script = 'echo "$COLOUR $SHAPE $TOKEN"; sleep 0.1; echo no >&2; sleep 0.1; printf end; exit 3'
        result = await run(stack, "sh", "-c", script, SHAPE="round")
        assert (result.status, result.output) == (3, ("green round [TOKEN]", "no", "end"))

        assert (await run(stack, "sh", "-c", "kill -9 $$")).status == -9

        much = await run(stack, "sh", "-c", "yes 0123456789abcdef | head -c 3000000; echo; echo last")
        assert much.output[-1] == "last"
        assert len(much.output) == 1000

        with pytest.raises(EnvironmentLacks, match="no-such-program cannot be run in the container"):
            await run(stack, "no-such-program")
        with pytest.raises(EnvironmentLacks, match="no part 'db'"):
            await run(stack, "true", part="db")

        with pytest.raises(TimeoutError) as raised:
            await run(stack, "sh", "-c", LEAVES_ORPHANS, within=1.0)
        assert raised.value.args[0] == "started"
        assert marked_processes(stack) == 0

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, stack, "sh", "-c", LEAVES_ORPHANS)
            with trio.fail_after(20):
                while marked_processes(stack) < 4:  # noqa: ASYNC110
                    await trio.sleep(0.05)
            nursery.cancel_scope.cancel()
        assert marked_processes(stack) == 0
        assert stack.broken is None
