"""Every contender at every rate, interleaved: a slow minute of the machine falls on all of them alike."""

from __future__ import annotations

import itertools
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from infra.bench.contenders import CONTENDERS, Contender, Job
from infra.bench.figures import nginx, offer_stage, run_k6, truth_server
from infra.bench.one import GREEDY
from infra.bench.ramp import gaps_us
from infra.bench.traffic import traffic
from infra.bench.watched import LENGTH_S, Measured, run

RATES = (1000, 4000, 10_000)
HELD = {False: (20_000, 30_000, 40_000, 50_000, 60_000, 80_000), True: (8000, 10_000, 12_000, 15_000, 17_000)}
ROWS_MIB = 1024
PEERS_HELD = {False: (5000, 10_000, 15_000, 20_000, 30_000), True: (3000, 5000, 8000, 10_000)}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Size:
    """How thorough to be."""

    rounds: int
    rates: Sequence[int]
    held: bool
    truth_s: int


FULL = Size(rounds=5, rates=RATES, held=True, truth_s=20)
QUICK = Size(rounds=1, rates=(4000,), held=False, truth_s=10)


def compare(size: Size, say: Say, before: Path | None = None) -> dict[str, Any]:
    """Everything `make bench` writes to reports/benchmarks, as JSON types.

    `before` is a checkout of an earlier version, to be measured beside this one.
    """
    with nginx() as port, tempfile.TemporaryDirectory() as folder:
        found = {
            "cost": cost(size, port, Path(folder), say),
            "full_speed": full_speed(size, port, Path(folder), say),
            "held": held(port, Path(folder), say) if size.held else [],
            "memory_mib": memory(port, say),
            "rows_memory": memory_with_rows(port, Path(folder), say),
            "workers": two_workers(port, say),
        }
    found |= {"traffic": traffic(size.rounds, say, before)}
    return found | {
        "truth": truth(size.truth_s, say),
        "spacing": spacing(say),
    }


def cost(size: Size, port: int, folder: Path, say: Say) -> list[dict[str, Any]]:
    """CPU a request and percentiles at every rate, in both connection modes: medians of all rounds."""
    points = [(rate, new) for new in (False, True) for rate in size.rates]
    rows: dict[tuple[int, bool, str], list[Measured]] = {}
    for number in range(size.rounds):
        for rate, new in points:
            for tool in _rotated(number):
                say(f"round {number + 1}/{size.rounds}: {tool.name}, {rate:,}/s, {_mode(new)}")
                measured = _measure(tool, Job(port, rate, LENGTH_S, new, folder))
                if measured:
                    rows.setdefault((rate, new, tool.name), []).append(measured)
    return [
        {"rate": rate, "connection": _mode(new), "tool": tool, "rounds": len(all_), **_median(all_)}
        for (rate, new, tool), all_ in rows.items()
    ]


def _rotated(number: int) -> list[Contender]:
    """Each round begins with another tool, so that none always follows the same one."""
    start = number % len(CONTENDERS)
    return [*CONTENDERS[start:], *CONTENDERS[:start]]


def _measure(tool: Contender, job: Job) -> Measured | None:
    try:
        return run(tool, job, f"http://127.0.0.1:{job.port}/status")
    except (subprocess.TimeoutExpired, ValueError, KeyError) as error:
        print(f"{tool.name} failed at {job.rate}/s: {error}", file=sys.stderr)
        return None


def _median(all_: Sequence[Measured]) -> dict[str, Any]:
    says = [each.says for each in all_ if each.says]
    return {
        "rps": statistics.median(each.rps for each in all_),
        "cpu_us": statistics.median(each.cpu_us for each in all_),
        "cpu_us_all": [round(each.cpu_us, 2) for each in all_],
        "says_ms": {
            name: statistics.median(each[name] for each in says if name in each)
            for name in ("p50", "p95", "p99")
            if any(name in each for each in says)
        },
    }


def full_speed(size: Size, port: int, folder: Path, say: Say) -> list[dict[str, Any]]:
    """What tools reach when nothing holds them back: closed loops; ours with far too many arrivals due."""
    found = []
    for new, tool in itertools.product((False, True), CONTENDERS):
        say(f"full speed: {tool.name}, {_mode(new)}")
        rounds = [_measure(tool, Job(port, 0, LENGTH_S, new, folder)) for _ in range(min(size.rounds, 3))]
        done = [each for each in rounds if each]
        if done:
            found.append({"connection": _mode(new), "tool": tool.name, **asdict(_best(done))})
    return found


def _best(done: Sequence[Measured]) -> Measured:
    return max(done, key=lambda each: each.rps)


def held(port: int, folder: Path, say: Say) -> list[dict[str, Any]]:
    """The highest rate that open-loop tools hold: 99.5 % of it answered."""
    found = []
    for tool in CONTENDERS:
        if not tool.open_loop or tool.path is None:
            continue
        steps = HELD if tool.program == "python" else PEERS_HELD
        for new in (False, True):
            best = 0
            for rate in steps[new]:
                say(f"highest rate: {tool.name}, {rate:,}/s, {_mode(new)}")
                measured = _measure(tool, Job(port, rate, LENGTH_S, new, folder))
                if measured is None or measured.rps < 0.995 * rate:
                    break
                best = rate
            found.append({"tool": tool.name, "connection": _mode(new), "rps": best, "tried": steps[new][-1]})
    return found


def memory(port: int, say: Say) -> dict[str, float]:
    """Of one worker: a short stage, a long one, and one at ten times the rate."""
    say("memory of a worker")
    return {
        "2 s at 10,000/s": offer_stage(port, 10_000, 2).peak_mib,
        "15 s at 10,000/s": offer_stage(port, 10_000, 15).peak_mib,
        "5 s at 60,000/s": offer_stage(port, 60_000, 5, workers=1, max_in_flight=4000).peak_mib,
    }


def memory_with_rows(port: int, folder: Path, say: Say) -> dict[str, float]:
    """Of one of two workers that take random rows from a large file: each is in a page of its own.

    So is its place in the index; both are pages of files, which workers share.
    """
    say("memory of a worker with rows")
    rows = folder / "rows.csv"
    block = b"".join(b"%07d,%s\n" % (number, b"x" * 120) for number in range(8192))
    with rows.open("wb") as file:
        file.write(b"id,text\n")
        for _ in range(ROWS_MIB * 1024 * 1024 // len(block)):
            file.write(block)
    load = {
        "variables": {"row": {"csv": rows.name, "order": "random"}},
        "request": {"path": "/${row.id}", "query": {"text": "${row.text}"}},
    }
    rate, seconds, workers = 4000, 6, 2
    offered = offer_stage(port, rate, seconds, warmup=0, base_dir=folder, workers=workers, **load)
    rows.unlink()
    taken = rate * seconds // workers
    pages_mib = 2 * taken * resource.getpagesize() / 1024**2
    return {"mib": offered.peak_mib, "file_mib": ROWS_MIB, "rows": taken, "pages_mib": pages_mib}


def two_workers(port: int, say: Say) -> dict[str, float]:
    """Answers a second of one and of two workers with far too many arrivals due."""
    reached = {}
    for workers in (1, 2):
        say(f"{workers} worker(s) at full speed")
        offered = offer_stage(port, GREEDY * workers, 4, workers=workers, max_in_flight=256 * workers)
        reached[str(workers)] = offered.achieved * offered.facts.planned / offered.length_s
    return reached


def truth(seconds: int, say: Say) -> list[dict[str, Any]]:
    """What ours and k6 say of a server whose behaviour is known."""
    found = []
    for tool, offer in (("builtin", _ours), ("k6", _theirs)):
        say(f"truth: a mixture of delays, {tool}")
        with truth_server("mixture") as (port, told):
            says = offer(port, 1000, min(seconds, 10), "duration")
        truth_ms = _percentiles_ms(told["took"])
        found.append({"server": "mixture", "tool": tool, "truth_ms": truth_ms, "says_ms": says})
    real = {}
    for tool, offer in (("builtin", _ours), ("k6", _theirs)):
        say(f"truth: a server that freezes, {tool}")
        with truth_server("freeze") as (port, told):
            time.sleep(1.5)  # every freeze of the window begins and ends in it
            says = offer(port, 2000, seconds, "response_time")
        # Even arrivals are the truth for both: those that a tool held back were not asked at all.
        real = real or _percentiles_ms(told["took"])
        truth_ms = {name: real[name] for name in ("p95", "p99")}
        found.append({"server": "freeze", "tool": tool, "truth_ms": truth_ms, "says_ms": says})
    return found


def _percentiles_ms(took_ns: Sequence[int]) -> dict[str, float]:
    ordered = sorted(took_ns)
    return {name: ordered[len(ordered) * percent // 100] / 1e6 for name, percent in _PERCENTS.items()}


_PERCENTS = {"p50": 50, "p95": 95, "p99": 99}


def _ours(port: int, rate: int, seconds: int, latency: str) -> dict[str, float]:
    found = offer_stage(port, rate, seconds, warmup=0, max_in_flight=4000).latency(latency)
    return dict(zip(_PERCENTS, found.percentiles_ms([*_PERCENTS.values()]), strict=True))


def _theirs(port: int, rate: int, seconds: int, _: str) -> dict[str, float]:
    found = run_k6(port, rate, seconds)
    return {name: found[f"{name}_ms"] for name in _PERCENTS} | {"dropped": found["dropped"]}


def spacing(say: Say) -> list[dict[str, Any]]:
    """The gaps between requests as their receiver saw them."""
    found = []
    for rate, (tool, offer) in itertools.product((1000, 4000), (("builtin", _ours), ("k6", _theirs))):
        say(f"spacing at {rate:,}/s: {tool}")
        with truth_server("arrivals") as (port, told):
            offer(port, rate, 5, "duration")
        arrivals = sorted(told["arrivals"])[rate:]
        gaps = gaps_us(arrivals)
        plan_us = 1e6 / rate
        errors = sorted(abs(gap - plan_us) for gap in gaps)
        found.append(
            {
                "rate": rate,
                "tool": tool,
                "planned_gap_us": plan_us,
                "median_gap_us": statistics.median(gaps),
                "error_p99_us": errors[len(errors) * 99 // 100],
            }
        )
    return found


def _mode(new: bool) -> str:
    return "new" if new else "keep-alive"
