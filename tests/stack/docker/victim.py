"""A run that prints when it reaches a step of the opener, where the tests kill it.

python -m tests.stack.docker.victim RUN_ID STEP, where STEP is one of the opener's functions
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from runner.experiment.model import DockerTopology
from runner.stack.docker import open as opening
from runner.stack.docker import open_docker
from runner.stack.docker import start as starting
from runner.stack.protocols import StackContext
from runner.stack.watchdog import open_watchdog


def say(line: str) -> None:
    print(line, flush=True)


def announce(step: str) -> None:
    module = next(module for module in (opening, starting) if hasattr(module, step))
    original = getattr(module, step)

    async def announced(*args: object, **kwargs: object) -> object:
        say(f"step {step}")
        return await original(*args, **kwargs)

    setattr(module, step, announced)


async def main() -> None:
    run_id, step = sys.argv[1:]
    announce(step)
    spec = {"app": {"build": "app", "port": 8080}, "replicas": 2, "proxy": {"kind": "nginx"}}
    service = {"build": "app", "port": 8090, "env": {"PORT": "{port}"}}
    topology = DockerTopology.model_validate({"kind": "docker", **spec, "services": {"db": service}})
    with TemporaryDirectory() as scratch:
        async with open_watchdog(run_id) as guard:
            context = StackContext(run_id, "victim", Path(__file__).parent, Path(scratch), guard, say)
            async with open_docker(topology, context):
                pass


trio.run(main)
