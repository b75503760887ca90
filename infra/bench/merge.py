"""What it costs the runner to merge the lines of a thousand generator nodes, by simulation.

Lines of real tallies go through what reads and merges them in a run: the hub's message, the agent's report,
the worker's second, its account, and the collector. No network takes part: the lines are in memory.
"""

from __future__ import annotations

import statistics
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from msgspec import Raw
from msgspec.structs import replace

from runner.cluster.agent_messages import AGENT_REPORT, ProcessLine
from runner.cluster.messages import AGENT_TO_HUB, HUB_MESSAGE, FromAgent, Up
from runner.cluster.wire import encode, raw
from runner.core import histogram
from runner.core.load_facts import LoadSecond
from runner.core.units import BYTES_PER_MIB
from runner.load.merge import Collector
from runner.load.messages import WorkerSecond, decode_progress
from runner.load.messages import encode as worker_line
from runner.load.tally import Tally
from runner.load.worker_accounts import Account

Row = tuple[str, str, str, bool]
NODES = 1000
RATE = 1000
KINDS = 25
"""Different lines; nodes share them, which changes no cost: each is decoded and merged on its own."""
SECONDS = 2
ROUNDS = 9
WANTED_CORES = 0.2


@dataclass(frozen=True)
class MergeCost:
    """What merging one second of all nodes takes.

    Attributes:
        nodes: Number of nodes, each with one worker.
        rate: Requests a second of each node.
        line_bytes: Mean length of a line at the runner, with both envelopes.
        cores: CPU seconds of the runner for a second.
        hub_cores: CPU seconds of the hub for reading and writing the lines of a second, without its sockets.
        peak_bytes: What Python allocates for it at most.
        exact: Whether all counts equal those of one histogram of all values.
    """

    nodes: int
    rate: int
    line_bytes: float
    cores: float
    hub_cores: float
    peak_bytes: int
    exact: bool

    @property
    def sentence(self) -> str:
        """The figures for people."""
        return (
            f"{self.cores:.3f} of a core, {self.line_us:.0f} µs and {self.line_bytes / 1e3:.1f} kB a line, "
            f"{self.peak_bytes / BYTES_PER_MIB:.1f} MiB"
        )

    @property
    def line_us(self) -> float:
        """CPU for one line, in microseconds."""
        return self.cores / self.nodes * 1e6


def merge() -> Iterator[Row]:
    """Yield figure, measured, wanted, kept."""
    cost = merge_cost(NODES, RATE)
    yield (
        f"merging the lines of {NODES:,} nodes, {RATE:,} requests/s each",
        cost.sentence,
        f"<= {WANTED_CORES} of a core, equal to the bucket",
        cost.cores <= WANTED_CORES and cost.exact,
    )


def merge_cost(nodes: int, rate: int) -> MergeCost:
    """Measure what merging a second of so many nodes costs, at so many requests a second of each.

    The CPU is the least of some rounds: whatever else the machine does only adds to it.
    """
    kinds, values = _kinds(rate)
    lines = [[_line(node, second, kinds) for node in range(nodes)] for second in range(SECONDS)]
    cores = min(_cpu_s(_merged, lines, nodes) for _ in range(ROUNDS)) / SECONDS
    ups = [[_up(line) for line in second] for second in lines]
    hub_cores = min(_cpu_s(_passed_on, ups, nodes) for _ in range(ROUNDS)) / SECONDS
    merged = _merged(lines, nodes)
    expected = _expected(values, nodes)
    exact = len(merged) == SECONDS and all(second.duration == expected for second in merged)
    length = statistics.mean(len(line) for line in lines[0])
    return MergeCost(nodes, rate, length, cores, hub_cores, _peak_bytes(lines[:1], nodes), exact)


def _cpu_s(
    work: Callable[[Sequence[Sequence[bytes]], int], object], lines: Sequence[Sequence[bytes]], nodes: int
) -> float:
    before = time.process_time()
    work(lines, nodes)
    return time.process_time() - before


def _peak_bytes(lines: Sequence[Sequence[bytes]], nodes: int) -> int:
    tracemalloc.start()
    try:
        _merged(lines, nodes)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _merged(lines: Sequence[Sequence[bytes]], nodes: int) -> list[LoadSecond]:
    """Do what `runner.cluster.hub_connection` and `runner.load.builtin` do with lines."""
    collector = Collector(nodes)
    accounts = [Account(f"generator worker {node}", planned=0) for node in range(nodes)]
    complete: list[LoadSecond] = []
    for second in lines:
        for node, line in enumerate(second):
            message = HUB_MESSAGE.decode(line)
            assert isinstance(message, FromAgent)
            report = AGENT_REPORT.decode(message.report)
            assert isinstance(report, ProcessLine)
            progress = decode_progress(bytes(report.line))
            assert isinstance(progress, WorkerSecond)
            accounts[node].add(progress)
            complete += collector.add(node, progress)
    return complete


def _passed_on(lines: Sequence[Sequence[bytes]], nodes: int) -> None:
    """Do what the hub does with what agents send."""
    names = [f"node-{node}" for node in range(nodes)]
    for second in lines:
        for node, line in zip(names, second, strict=True):
            message = AGENT_TO_HUB.decode(line)
            assert isinstance(message, Up)
            encode(FromAgent(node=node, report=message.report))


def _up(line: bytes) -> bytes:
    message = HUB_MESSAGE.decode(line)
    assert isinstance(message, FromAgent)
    return encode(Up(report=message.report)).rstrip()


def _kinds(rate: int) -> tuple[list[WorkerSecond], list[list[int]]]:
    """Return seconds of workers with response times as of a service, and their durations in nanoseconds."""
    random = Random(1)
    values = [[round(random.lognormvariate(0, 0.5) * 2e6) for _ in range(rate)] for _ in range(KINDS)]
    return [_second(one, random) for one in values], values


def _second(durations: Sequence[int], random: Random) -> WorkerSecond:
    tally = Tally(0)
    for duration in durations:
        late = round(random.lognormvariate(0, 0.6) * 60_000)
        tally.whole.add(duration)
        tally.response_time.add(duration + late)
        tally.dispatch_delay.add(late)
    tally.scheduled = tally.sent = tally.succeeded = tally.completed = len(durations)
    return tally.message(cpu_s=0.05, in_flight=3)


def _line(node: int, second: int, kinds: Sequence[WorkerSecond]) -> bytes:
    line = worker_line(replace(kinds[node % len(kinds)], index=second))
    report = ProcessLine(process=node, line=Raw(line.rstrip()))
    return encode(FromAgent(node=f"node-{node}", report=raw(report))).rstrip()


def _expected(values: Sequence[Sequence[int]], nodes: int) -> histogram.Histogram:
    """Return one histogram of all values of all nodes."""
    counts: Counter[int] = Counter()
    total_ns = max_ns = 0
    for kind, one in enumerate(values[:nodes]):
        times, recorded = len(range(kind, nodes, len(values))), histogram.of(one)
        for index, number in recorded.items():
            counts[index] += number * times
        total_ns += recorded.total_ns * times
        max_ns = max(max_ns, recorded.max_ns)
    return histogram.Histogram(counts, total_ns, max_ns)
