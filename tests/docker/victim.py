"""A run that says where it is, to be killed there by the tests.

python -m tests.docker.victim RUN_ID PHASE
"""

import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from runner.spec.model import DockerTopology
from runner.stack.contract import StackContext
from runner.stack.docker import open_docker, opener
from runner.stack.watchdog import open_watchdog

STEPS = {"create": "create_network", "start": "start_all", "ready": "_wait_ready", "take-down": "take_down"}
"""Phase to the opener's function that is it."""


def say(line: str) -> None:
    print(line, flush=True)


def announce(phase: str) -> None:
    """Say that a phase begins, just before it does."""
    original = getattr(opener, STEPS[phase])

    async def announced(*args: object, **kwargs: object) -> object:
        say(f"phase {phase}")
        return await original(*args, **kwargs)

    setattr(opener, STEPS[phase], announced)


async def run(run_id: str, phase: str) -> None:
    build = "slow_build" if phase == "build" else "app"
    asked = {"app": {"build": build, "port": 8080}, "replicas": 2, "proxy": {"kind": "nginx"}}
    topology = DockerTopology.model_validate({"kind": "docker", **asked})
    with TemporaryDirectory() as scratch:
        async with open_watchdog(run_id) as guard:
            context = StackContext(run_id, "victim", Path(__file__).parent, Path(scratch), guard, say)
            async with open_docker(topology, context):
                if phase == "stage":
                    say("phase stage")
                    await trio.sleep_forever()


async def main() -> None:
    run_id, phase = sys.argv[1:]
    if phase in STEPS:
        announce(phase)
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def until_told() -> None:
                async for _ in signals:
                    nursery.cancel_scope.cancel()

            nursery.start_soon(until_told)
            await run(run_id, phase)
            nursery.cancel_scope.cancel()


trio.run(main)
