"""A run that has one of each kind of object on a swarm, and waits to be killed.

python -m tests.swarm.victim RUN_ID IMAGE
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from runner.cluster.placement import PlacedFile, TaskPlan
from runner.stack.protocols import StackContext
from runner.stack.swarm.placer import open_placer
from runner.stack.watchdog import open_watchdog

STAY = ("python3", "-c", "import time; time.sleep(600)")


def say(line: str) -> None:
    print(line, flush=True)


async def main() -> None:
    run_id, image = sys.argv[1:]
    files = (PlacedFile("/etc/word", b"open"), PlacedFile("/run/key", b"secret", secret=True))
    with TemporaryDirectory() as scratch:
        async with open_watchdog(run_id) as guard:
            context = StackContext(run_id, "victim", Path.cwd(), Path(scratch), guard, say)
            async with open_placer(context) as placer:
                network = await placer.network("data")
                await placer.start_hub(image=image, command=STAY, network=network)
                plan = TaskPlan("p", image, STAY, networks=(network,), one_per_node=True, files=files)
                await placer.place(plan, within=60)
                say("placed")
                await trio.sleep_forever()


trio.run(main)
