"""`make bench`: what the instrument itself is worth, on this machine, now.

Every row is measured in this one run; comparisons are ratios of figures of the same run.
Nothing here passes or fails a test: machines differ and are noisy.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import trio

from runner.facts import Role, Sample, Subject, Window
from runner.observe.processes import start_ticks
from runner.observe.sampler import watch
from tests.bench.figures import nginx, offer_stage, run_k6, truth_server

MOVED = "LOADPROOF_BENCH_NAMESPACE"
SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1
Row = tuple[str, str, str, bool]
ROOT = Path(__file__).parents[2]


def against_nginx() -> Iterator[Row]:
    with nginx() as port:
        kept = offer_stage(port, 10_000, 10)
        yield (
            "10,000/s keep-alive for 10 s: achieved, dropped",
            f"{kept.achieved:.2%}, {kept.count('dropped')}",
            ">= 99.9 %, 0",
            kept.achieved >= 0.999 and not kept.count("dropped"),
        )
        p50, p95, p99 = kept.latency("duration").percentiles_ms([50, 95, 99])
        yield (
            "duration p50, p95, p99 at 10,000/s",
            f"{p50 * 1e3:.0f}, {p95 * 1e3:.0f}, {p99 * 1e3:.0f} µs",
            "p95 <= 200 µs",
            p95 <= 0.2,
        )
        peer = run_k6(port, 10_000, 10)
        ratio = kept.cpu_us / peer["cpu_us"]
        yield (
            "CPU a request at 10,000/s keep-alive: ours, k6's, ratio",
            f"{kept.cpu_us:.1f}, {peer['cpu_us']:.1f} µs, {ratio:.2f}",
            "<= 0.40",
            ratio <= 0.4,
        )
        short, long = offer_stage(port, 5000, 2).peak_mib, offer_stage(port, 5000, 12).peak_mib
        yield (
            "memory of a worker after 2 s and after 12 s",
            f"{short:.0f}, {long:.0f} MiB",
            "no growth",
            long <= short + 2,
        )
        yield highest(port, "keep-alive", [30_000, 35_000, 40_000, 45_000, 50_000], 30_000)
        yield highest(port, "new", [8000, 10_000, 12_000, 14_000, 16_000, 18_000], 12_000)


def highest(port: int, connection: str, rates: list[int], wanted: int) -> Row:
    """The highest of `rates` that one worker holds: 99.5 % achieved and nothing lost."""
    held = 0
    for rate in rates:
        offered = offer_stage(port, rate, 3, connection=connection, workers=1, max_in_flight=4000)
        if offered.achieved < 0.995 or offered.count("dropped") or offered.failures:
            break
        held = rate
    return f"highest rate held by one worker, {connection}", f"{held:,}/s", f">= {wanted:,}/s", held >= wanted


def spacing() -> Iterator[Row]:
    for rate in (1000, 4000):
        with truth_server("arrivals") as (port, told):
            offer_stage(port, rate, 4, warmup=0.5)
        arrivals = sorted(told["arrivals"])[rate // 2 :]
        gaps = [after - before for before, after in itertools.pairwise(arrivals)]
        median, plan = statistics.median(gaps), 1e9 / rate
        error = median / plan - 1
        yield (
            f"median gap the server saw at {rate:,}/s (plan {plan / 1e3:.0f} µs)",
            f"{median / 1e3:.1f} µs ({error:+.2%})",
            "within 2 %",
            abs(error) <= 0.02,
        )


def freezes() -> Iterator[Row]:
    """A server that stands still 500 ms in every 5 s: 5 % of its users wait 250 ms or more, 1 % 450 ms."""
    with truth_server("freeze") as (port, _):
        offered = offer_stage(port, 2000, 20, warmup=0, max_in_flight=4000)
    for percent, truth in ((95, 250), (99, 450)):
        found = offered.latency("response_time").percentile_ms(percent)
        error = found / truth - 1
        yield (
            f"response_time p{percent} of a server that freezes (truth {truth} ms)",
            f"{found:.1f} ms ({error:+.1%})",
            "within 5 %",
            abs(error) <= 0.05,
        )


def cpu_accounting() -> Iterator[Row]:
    """CPU of a process that burns 100 µs a request, against what it says of itself."""
    samples: list[Sample] = []
    with truth_server("burn") as (port, told):
        pid = told["pid"]
        subject = Subject("app", Role.APP, "tree", pid, start_ticks(pid))

        async def look(seconds: float) -> None:
            start = time.monotonic_ns()
            window = Window(start, start, start + round(seconds * 1e9))
            await watch([subject], window, interval=0.2, on_sample=samples.append)

        trio.run(look, 0.2)
        offer_stage(port, 1500, 5, warmup=0)
        trio.run(look, 0.2)
    seen = samples[-1].cpu_s["app"]
    error = seen / told["cpu_s"] - 1
    yield (
        "CPU of a process that burns a known time a request",
        f"{seen:.3f} s against {told['cpu_s']:.3f} s ({error:+.2%})",
        "within 3 %",
        abs(error) <= 0.03,
    )


def command_line() -> Iterator[Row]:
    runner = str(Path(sys.executable).parent / "runner")
    spec = str(ROOT / "experiments" / "quickstart.yaml")
    for words, limit_ms in (("--help",), 200), (("validate", spec), 500):
        took = [timed([runner, *words]) for _ in range(5)]
        median_ms = statistics.median(took) * 1e3
        yield f"runner {words[0]}", f"{median_ms:.0f} ms", f"< {limit_ms} ms", median_ms < limit_ms
    with tempfile.TemporaryDirectory() as folder:
        took_s = timed([runner, "execute", spec, "--quiet", "--no-calibrate", "--out", f"{folder}/run"])
    stages_s = 4 + 1 + 5 + 1 + 0.5
    yield (
        "execute quickstart beyond its stages, warm-ups and cooldown",
        f"{took_s - stages_s:.2f} s",
        "< 2 s",
        took_s - stages_s < 2,
    )


def timed(command: list[str]) -> float:
    before = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - before


SECTIONS: dict[str, Callable[[], Iterator[Row]]] = {
    "nginx": against_nginx,
    "spacing": spacing,
    "freezes": freezes,
    "cpu": cpu_accounting,
    "command-line": command_line,
}


def move_into_own_namespace() -> str:
    """Start again in an empty network namespace where that is possible; says where we are.

    A Docker Engine's firewall rules track every loopback connection of the host, which would
    charge its price to the instrument. A new namespace has no rules, and nobody else's traffic.
    """
    if os.environ.get(MOVED):
        interface = struct.pack("16sH14s", b"lo", IFF_UP, b"")
        with socket.socket() as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, interface)
        return "in a network namespace of its own"
    unshare = shutil.which("unshare")
    if os.geteuid() != 0 or unshare is None:
        return "in the host's network namespace"
    os.environ[MOVED] = "1"
    os.execv(unshare, [unshare, "--net", sys.executable, "-m", "tests.bench", *sys.argv[1:]])
    return ""  # never reached


def main() -> None:
    where = move_into_own_namespace()
    chosen = sys.argv[1:] or list(SECTIONS)
    print(f"{os.cpu_count()} cores, Linux {os.uname().release}, Python {sys.version.split()[0]}, {where}\n")
    print("| figure | measured | wanted | |\n| --- | --- | --- | --- |")
    for name in chosen:
        for figure, measured, wanted, good in SECTIONS[name]():
            print(f"| {figure} | {measured} | {wanted} | {'✓' if good else '✗'} |", flush=True)


if __name__ == "__main__":
    main()
