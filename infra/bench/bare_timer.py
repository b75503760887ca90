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

from runner.core.units import NS_PER_S, NS_PER_US, Nanoseconds
from runner.load.timers import Timer

_WARMUP_S = 1.0


def bare_timer(rate: float, seconds: float) -> list[float]:
    """Return how late a process of its own was woken for each instant of a rate, in µs, sorted."""
    command = [sys.executable, "-m", "infra.bench.bare_timer", "--rate", str(rate), "--seconds", str(seconds)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    late: list[float] = json.loads(done.stdout)
    return sorted(late)


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
