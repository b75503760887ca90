"""What the load generator and the counters cost on this machine, beside other load tools (`make bench`).

Every row is measured in this one run; comparisons are ratios of figures of the same run.
Nothing here passes or fails a test: machines differ and are noisy.
"""

from __future__ import annotations

import argparse
import fcntl
import json
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
from typing import Any

import trio

from infra.bench.agent_cost import cost_of_an_agent
from infra.bench.compare import FULL, QUICK, Size, compare
from infra.bench.counting import cost_of_counters
from infra.bench.figures import offer_stage, truth_server
from infra.bench.live import live_page
from infra.bench.merge import merge
from infra.bench.outputs import outputs
from infra.bench.page import page_of_a_long_run
from infra.bench.promises import promises
from infra.bench.publish import chart, page
from infra.bench.runs import many_runs
from infra.bench.scenarios import scenarios
from infra.bench.traffic import traffic
from infra.bench.traffic_page import traffic_promises
from runner.core.codes import Role
from runner.core.facts import Window
from runner.core.observed_facts import Sample, Subject
from runner.load.exchange import Exchange
from runner.load.loop import plain_exchange
from runner.observe.processes import start_ticks
from runner.observe.sampler import watch

MOVED = "LOADPROOF_BENCH_NAMESPACE"
SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1
Row = tuple[str, str, str, bool]
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "reports" / "benchmarks"
RESULTS = "results.json"


def comparison(size: Size, out: Path | None, before: Path | None) -> Iterator[Row]:
    """Every tool in one run; writes the results as JSON, page and chart if there is a folder for them."""
    found = compare(size, say, before)
    found |= {"machine": machine(), "cores": os.cpu_count(), "rounds": size.rounds}
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write(found, out)
    yield from promises(found)


def write(found: dict[str, Any], out: Path) -> None:
    """Write results as JSON, page and chart."""
    (out / RESULTS).write_text(json.dumps(found, indent=1) + "\n")
    (out / "README.md").write_text(page(found))
    (out / "cpu.svg").write_text(chart(found))


def kinds_of_traffic(size: Size, out: Path | None, before: Path | None) -> Iterator[Row]:
    """Only what kinds of traffic cost; replaces that part of a comparison on the same machine."""
    found = traffic(size.rounds, say, before)
    if out is not None and (out / RESULTS).exists():
        earlier = json.loads((out / RESULTS).read_text())
        if earlier["machine"] == machine():
            write(earlier | {"traffic": found}, out)
    yield from traffic_promises(found)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "a CPU")
    python = sys.version.split()[0]
    way = "a generator in Python" if plain_exchange() is Exchange else "a compiled generator"
    return f"{os.cpu_count()} cores of {model}, Linux {os.uname().release}, Python {python}, {way}"


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
    code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
    took_s = time.monotonic() - before
    if code:
        sys.exit(f"{' '.join(command)} ended with exit code {code}; its message is above")
    return took_s


COMPARISON, TRAFFIC = "comparison", "traffic"
SECTIONS: dict[str, Callable[[], Iterator[Row]]] = {
    "cpu": cpu_accounting,
    "counters": cost_of_counters,
    "agent": cost_of_an_agent,
    "command-line": command_line,
    "scenarios": scenarios,
    "merge": merge,
    "page": page_of_a_long_run,
    "live": live_page,
    "outputs": outputs,
    "runs": many_runs,
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
    os.execv(unshare, [unshare, "--net", sys.executable, "-m", "infra.bench", *sys.argv[1:]])
    return ""  # never reached


def main() -> None:
    options = arguments()
    where = move_into_own_namespace()
    out = options.out or (None if options.quick else FOLDER)
    size = QUICK if options.quick else FULL
    comparing = {
        COMPARISON: lambda: comparison(size, out, options.before),
        TRAFFIC: lambda: kinds_of_traffic(size, out, options.before),
    }
    print(f"{machine()}, {where}\n")
    print("| figure | measured | wanted | |\n| --- | --- | --- | --- |")
    for name in options.section or [COMPARISON, *SECTIONS]:
        for figure, measured, wanted, good in (comparing | SECTIONS)[name]():
            print(f"| {figure} | {measured} | {wanted} | {'✓' if good else '✗'} |", flush=True)


def arguments() -> argparse.Namespace:
    sections = (COMPARISON, TRAFFIC, *SECTIONS)
    parser = argparse.ArgumentParser(prog="python -m infra.bench", description=__doc__.splitlines()[0])
    parser.add_argument(
        "section", nargs="*", help=f"{', '.join(sections)}; all by default, where comparison includes traffic"
    )
    parser.add_argument(
        "--quick", action="store_true", help="compare in one round at one rate; write no files"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="write the comparison there, not to reports/benchmarks"
    )
    parser.add_argument(
        "--before",
        type=Path,
        metavar="FOLDER",
        help="a checkout with a .venv of an earlier version to measure too",
    )
    options = parser.parse_args()
    if unknown := [section for section in options.section if section not in sections]:
        parser.error(f"unknown section {unknown[0]}; sections are {', '.join(sections)}")
    return options


if __name__ == "__main__":
    main()
