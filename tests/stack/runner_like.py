"""Acts as a runner with a watchdog, an app and a worker, in a process that the tests can kill.

python -m tests.stack.runner_like RUN_ID CODE
"""

import os
import subprocess
import sys
from pathlib import Path

import trio

from runner.stack import control_group, run_record, supervised, watchdog
from runner.stack.process import open_process
from runner.stack.protocols import StackContext
from runner.stack.watchdog import open_watchdog
from tests.stack.conftest import python, topology


async def main(run_id: str, code: str) -> None:
    async with open_watchdog(run_id) as guard:
        worker = subprocess.Popen(["sleep", "62"])
        guard.process(worker.pid)
        here = Path.cwd()
        ctx = StackContext(run_id=run_id, name="x", base_dir=here, scratch=here, guard=guard, say=print)
        async with open_process(topology(python(code)), ctx) as stack:
            print(worker.pid, *(subject.pid for subject in stack.subjects), flush=True)
            await trio.sleep_forever()


if __name__ == "__main__":
    if folder := os.environ.get("LOADPROOF_TEST_RUNTIME"):
        run_record._folders = lambda: iter([Path(folder)])
    if os.environ.get("NO_CONTROL_GROUP"):
        supervised.create_group = watchdog.create_group = lambda *_: None
    if (hierarchy := os.environ.get("LOADPROOF_TEST_HIERARCHY")) is not None:
        control_group._HIERARCHIES = (hierarchy,)
    trio.run(main, *sys.argv[1:])
