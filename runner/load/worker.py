"""One generator process: for each order, it offers its part of a stage and reports once a second.

    python -P -m runner.load.worker < order, then the start instant, then an open pipe

It prints the messages of `runner.load.messages`. The end of its standard input means that the runner has
exited or has no more orders, and ends the worker at once. A worker of an agent also ends when the agent is
silent for as long as it takes until the runner counts it as lost.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import BinaryIO

from runner.cluster.heartbeat import AGENT_WAS_SILENT, AgentWatch
from runner.core.units import ns
from runner.load import pacing
from runner.load.exchange import Exchange
from runner.load.loop import Loop
from runner.load.messages import WorkerEnd, WorkerReady, encode
from runner.load.tally import Tally
from runner.load.user_loop import UserLoop
from runner.load.worker_order import WorkerOrder, from_json, start_from_json

_SPARE_FILES = 64
_PR_SET_TIMERSLACK = 29
_RESET_PEAK = "5"
_NOT_COMPILED = (
    "the generator's hot loops were not compiled and ran in Python, which costs more CPU per request; "
    "run `runner doctor` for advice"
)


class _Pipe:
    """Standard output that never blocks the loop: it buffers what the runner does not read in time."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._pending = b""
        os.set_blocking(fd, False)

    def write(self, line: bytes) -> None:
        self._pending += line
        self.flush()

    def flush(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._pending:
                self._pending = self._pending[os.write(self._fd, self._pending) :]

    def drain(self) -> None:
        """Write everything, however long it takes."""
        os.set_blocking(self._fd, True)
        self.flush()


def main() -> None:
    """Execute orders until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    processors = os.sched_getaffinity(0)
    while line := sys.stdin.buffer.readline():
        order = from_json(line)
        os.sched_setaffinity(0, order.cpus or processors)
        if not _execute(order, sys.stdin.buffer):
            return
        _forget_stage()


def _execute(order: WorkerOrder, commands: BinaryIO) -> bool:
    """Execute one order; returns whether it is done, so that another may follow."""
    pipe = _Pipe(sys.stdout.fileno())
    notes = [note for note in (_raise_file_limit(order),) if note]
    used = [0.0]

    def emit(tally: Tally) -> None:
        now = time.process_time()
        cpu_s = max(0.0, round(now - used[0], 6))
        exchange = loop.exchange
        under_way, users = exchange.requests_in_flight, exchange.users_in_flight
        pipe.write(encode(tally.message(cpu_s=cpu_s, in_flight=under_way, users_in_flight=users)))
        used[0] = now

    loop = _loop(order, emit)
    if type(loop.exchange) is Exchange:
        notes.append(_NOT_COMPILED)
    pipe.write(encode(WorkerReady(tuple(notes))))
    start = commands.readline()
    if not start:
        return False
    _sleep_exactly()
    gc.freeze()
    gc.disable()
    os.set_blocking(commands.fileno(), False)
    used[0] = time.process_time()
    loop.run(start_from_json(start).start_ns, _stop_check(pipe, commands))
    loop.close()
    pipe.write(encode(_end(loop)))
    pipe.drain()
    os.set_blocking(commands.fileno(), True)
    return True


def _stop_check(pipe: _Pipe, commands: BinaryIO) -> Callable[[], bool]:
    """Return what writes the pending output and tells whether the stage ends early."""
    agent = AgentWatch.of(os.environ)

    def stopped() -> bool:
        pipe.flush()
        if agent is not None and agent.is_silent():
            sys.exit(AGENT_WAS_SILENT)
        return bool(select.select([commands], [], [], 0)[0])

    return stopped


def _loop(order: WorkerOrder, emit: Callable[[Tally], None]) -> Loop:
    arrivals = iter(()) if order.most_users else _arrivals(order)
    if order.scenarios is not None:
        from runner.load.scenario_loop import ScenarioLoop  # noqa: PLC0415  (other loads need none of it)

        return ScenarioLoop(order, arrivals, emit)
    return UserLoop(order, emit) if order.most_users else Loop(order, arrivals, emit)


def _forget_stage() -> None:
    """Free the memory of a stage, and let the next one have its own peak."""
    gc.unfreeze()
    gc.enable()
    gc.collect()
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(_RESET_PEAK)  # where that is forbidden, the peak is that of all stages so far


def _arrivals(order: WorkerOrder) -> Iterator[pacing.Bunch]:
    length = order.warmup + order.duration
    part = {"worker": order.worker, "workers": order.workers}
    if order.ramp:
        return _ramp(order, order.ramp)
    if order.poisson:
        arrivals = pacing.poisson(order.rate, length, order.seed, **part)
    else:
        arrivals = pacing.constant(order.rate, length, **part)
    return pacing.bunched(arrivals, order.quantum_ns, ns(order.warmup))


def _ramp(order: WorkerOrder, ramp: pacing.RampPacer) -> Iterator[pacing.Bunch]:
    """Return the arrivals of a ramp; where its rate is low, each is due at its own microsecond."""
    part = {"worker": order.worker, "workers": order.workers}
    if order.poisson:
        arrivals = ramp.poisson(order.seed, **part)
        return pacing.bunched(arrivals, order.quantum_ns, ns(order.warmup))
    middle = ramp.number_at(order.bunched_from) if order.quantum_ns else 0
    pieces = (ramp.arrivals(0, middle, **part), ramp.arrivals(middle, **part))
    quanta = (0, order.quantum_ns) if ramp.rate < ramp.rate_to else (order.quantum_ns, 0)
    return chain.from_iterable(
        pacing.bunched(arrivals, quantum_ns, ns(order.warmup))
        for arrivals, quantum_ns in zip(pieces, quanta, strict=True)
    )


def _sleep_exactly() -> None:
    """Make sleeps end within a microsecond of the requested time, not the default 50 µs."""
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)


def _raise_file_limit(order: WorkerOrder) -> str:
    """Allow as many sockets as may be open, lingering ones included; returns a note if that is impossible."""
    needed = 2 * order.most_connections + _SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= needed:
        return ""
    limit = needed if hard == unlimited else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    if limit >= needed:
        return ""
    return (
        f"a generator worker may open {limit:,} files, fewer than max_in_flight "
        f"{order.max_in_flight:,} can need; raise the hard limit (ulimit -Hn) if no_fd failures are counted"
    )


def _end(loop: Loop) -> WorkerEnd:
    loop.exchange.hand_over()
    return WorkerEnd(
        unstamped=loop.exchange.unstamped,
        opened=loop.exchange.opened,
        closed_by_server=loop.exchange.closed_by_server,
        resent=loop.exchange.resent,
        stale=loop.exchange.stale,
        unasked=loop.exchange.unasked,
        faults=dict(loop.exchange.faults),
        closed_first=loop.exchange.closed_first,
        handshakes=loop.exchange.handshakes,
        longest_stall_ns=loop.longest_stall_ns,
        too_late=loop.too_late,
        clock_shift_ns=loop.clock_shift_ns,
        peak_rss_kib=_peak_rss_kib(),
        backlog=tuple(backlog.to_wire() for backlog in loop.exchange.backlogs()),
    )


def _peak_rss_kib() -> int:
    """Return the largest resident set so far; getrusage would report that of the parent before exec."""
    with open("/proc/self/status", encoding="ascii") as file:  # noqa: PTH123  (no pathlib in a light worker)
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):  # the runner has exited
        main()
