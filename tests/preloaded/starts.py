"""Starts a program of its own as the runner does, in a thread of trio; it prints its state."""

import subprocess
import sys

import trio


async def main() -> None:
    words = [sys.executable, "-P", "-m", "tests.preloaded.state", *sys.argv[1:]]
    with trio.open_signal_receiver(*map(int, sys.argv[1:2])):
        process = await trio.lowlevel.open_process(words, stdin=subprocess.DEVNULL, start_new_session=True)
        assert await process.wait() == 0


trio.run(main)
