"""A node with control groups of version 2, as an agent sees it that has a namespace of its own for them.

The files are written as kernel 6.1 writes them (Documentation/admin-guide/cgroup-v2.rst).
"""

import time
from pathlib import Path

import trio

from runner.core.codes import Role
from runner.core.facts import Window
from runner.core.observed_facts import PlacedPart, Throttling
from runner.observe.node.messages import ObserveOrder, decode_facts, decode_sample, encode
from runner.observe.node.observer import observe_node
from runner.observe.roots import Roots

AGENT, APP = 41, 500
ID = "5e" * 32
SCOPE = f"system.slice/docker-{ID}.scope"
MIB = 2**20


class Node:
    """The files of procfs and sysfs of a node."""

    def __init__(self, folder: Path) -> None:
        self.proc, self.sys = folder / "host/proc", folder / "host/sys"
        for pid, name, group in ((AGENT, "python3", "0::/\n"), (APP, "app", f"0::/../docker-{ID}.scope\n")):
            numbers = " ".join(["S", "1", *["0"] * 17, "7", *["0"] * 30])
            self.write(f"proc/{pid}/stat", f"{pid} ({name}) {numbers}\n")
            self.write(f"proc/{pid}/cgroup", group)
        (self.proc / "self").symlink_to(str(AGENT))
        self.write(
            f"proc/{AGENT}/mountinfo",
            f"31 23 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n"
            f"32 23 0:26 /../.. {self.sys}/fs/cgroup ro - cgroup2 cgroup rw\n",
        )
        self.write("proc/stat", "cpu  0 0 0 0 0 0 0 0 0 0\n")
        self.write_group(
            {
                "memory.current": f"{48 * MIB}\n",
                "memory.max": f"{64 * MIB}\n",
                "memory.stat": f"anon {30 * MIB}\ninactive_file {8 * MIB}\n",
                "cpu.max": "50000 100000\n",
            }
        )
        self.use(1.0, throttled=0, kills=0)

    def write(self, name: str, text: str) -> None:
        path = self.proc.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def write_group(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            self.write(f"sys/fs/cgroup/{SCOPE}/{name}", text)

    def use(self, cpu_s: float, *, throttled: int, kills: int) -> None:
        """Set what the app has used and suffered."""
        self.write_group(
            {
                "cpu.stat": f"usage_usec {cpu_s * 1e6:.0f}\nuser_usec 1\nsystem_usec 1\nnr_periods 20\n"
                f"nr_throttled {throttled}\nthrottled_usec {throttled * 1000}\n",
                "memory.events": f"low 0\nhigh 0\nmax 3\noom {kills}\noom_kill {kills}\n",
            }
        )


async def observe(node):
    """Return the samples and the facts of a window in which the app uses half a second and is killed once."""
    start = time.monotonic_ns()
    order = ObserveOrder(
        Window(start, start, start + 600_000_000),
        0.5,
        "run-1",
        (PlacedPart("app", Role.APP, "node-2", ID, APP),),
        {},
    )
    samples = []

    async def send(item):
        samples.append(decode_sample(item))
        node.use(1.5, throttled=4, kills=1)

    roots = Roots(str(node.proc), str(node.sys), are_foreign=True)
    return samples, decode_facts(await observe_node(encode(order), send, trio.sleep_forever, roots))


async def test_cpu_memory_quota_and_kills_of_a_container_are_read(tmp_path):
    samples, facts = await observe(Node(tmp_path))
    counters = {(one.scope, one.name): one for one in facts.counters}

    assert facts.subjects[0].pid == APP
    assert (samples[0].cpu_s["app"], samples[-1].cpu_s["app"]) == (1.0, 1.5)
    assert samples[-1].rss_bytes["app"] == 40 * MIB
    assert samples[-1].throttling["app"] == Throttling(periods=20, throttled=4, waited_s=0.004)
    assert counters["app", "memory.oom_kills"].after == 1
    assert counters["app", "memory.usage_bytes"].limit == 64 * MIB
