"""How late this machine wakes a process that only waits.

What the generator's lateness is judged against: no program that sleeps is woken more exactly than this.
"""

from __future__ import annotations

import argparse
import gc
import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from runner.core.units import NS_PER_S, NS_PER_US, Nanoseconds
from runner.load.timers import Timer

_WARMUP_S = 1.0


@contextmanager
def bare_timer(rate: float, seconds: float) -> Iterator[list[float]]:
    """Let a process of its own wait for each instant of a rate, beside what is done inside the block.

    Yields a list that holds how late it was woken for each instant, in µs, sorted, once the block was left.
    """
    command = [sys.executable, "-m", "infra.bench.bare_timer", "--rate", str(rate), "--seconds", str(seconds)]
    late: list[float] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        yield late
        printed, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    late.extend(sorted(json.loads(printed)))


def _late(rate: float, seconds: float) -> list[float]:
    """Wait for each instant of a rate in epoll, as the generator does; return how late it was, in µs."""
    timer, epoll = Timer(), select.epoll()
    epoll.register(timer.fd, select.EPOLLIN | select.EPOLLET)
    gc.freeze()
    gc.disable()
    begin, period = time.monotonic_ns() + NS_PER_S // 10, NS_PER_S / rate
    instants = (begin + round(number * period) for number in range(round(rate * (seconds + _WARMUP_S))))
    late = [_wait(epoll, timer, instant) for instant in instants]
    return [one / NS_PER_US for one in late[round(rate * _WARMUP_S) :]]


def _wait(epoll: select.epoll, timer: Timer, instant_ns: Nanoseconds) -> Nanoseconds:
    timer.at(instant_ns)
    while (now := time.monotonic_ns()) < instant_ns:
        epoll.poll(1.0)
    return now - instant_ns


def main() -> None:
    """Print how late each instant was, in µs, as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    args = parser.parse_args()
    json.dump(_late(args.rate, args.seconds), sys.stdout)


if __name__ == "__main__":
    main()
