"""Observes this machine as an agent's container does: other process numbers, other mounts, no privileges.

Run by `box.py` as root in new namespaces. Reads an order from standard input, with the length of its window
instead of instants. It drops all privileges, starts a process in the place of a generator, and writes the
samples and the facts as lines.
"""

import encodings.ascii  # noqa: F401  (as a user without rights to Python's folder, it could not be read later)
import json
import os
import sys
import time

import trio

from runner.observe.node.observer import observe_node
from runner.observe.roots import Roots


def start_worker():
    """Return the number of a process that has used 0.1 s of CPU."""
    reads, writes = os.pipe()
    if (pid := os.fork()) == 0:
        while time.process_time() < 0.1:
            pass
        os.write(writes, b"x")
        time.sleep(600)
    os.read(reads, 1)
    return pid


def drop_privileges():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


async def send(line):
    sys.stdout.write(f"{line.decode()}\n")
    sys.stdout.flush()


def main(folder):
    order = json.loads(sys.stdin.readline())
    drop_privileges()
    order["workers"] = {"generator-1": start_worker()}
    now = time.monotonic_ns()
    order["window"] = {"start_ns": now, "measure_ns": now, "end_ns": now + order.pop("window_ns")}
    roots = Roots(f"{folder}/proc", f"{folder}/sys", are_foreign=True)
    answer = trio.run(observe_node, json.dumps(order).encode(), send, trio.sleep_forever, roots)
    trio.run(send, answer)


main(sys.argv[1])
