"""Runs one long stage and many short ones, and shows the memory and time that they cost.

    python -m infra.bench.soak [MINUTES [STAGES]]

The first run holds 500 requests per second for MINUTES, the second has STAGES stages of one second. Ends with
status 1 if the runner or the generator grows with the length of a stage, or if a stage costs too much time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

RPS = 500
MINUTES, STAGES = 10, 200
MAX_GROWTH_MIB = 1.0
"""Per minute, after the first one."""
MAX_OVERHEAD_S = 0.2
"""Per stage: between the ends of two stages of one second, beside that second."""
RUNNER = Path(sys.executable).with_name("runner")
_BEAT_S = 0.01
_MEMORY_EVERY_S = 1.0
_SPEC = """\
version: 1
name: soak
topology:
  kind: process
  app: {{command: [app-server, --host, 127.0.0.1, --port, "{{port}}"], health: /healthz, metrics: /metrics}}
load: {{request: {{path: /session}}}}
cooldown: 0s
stages:
{stages}
"""


@dataclass
class Watched:
    """A run as it is seen from outside.

    Attributes:
        ends: When each stage was in the journal, in seconds after the start of the process.
        memory: Instant, resident MiB of the runner, and of the largest generator worker.
        peak_mib: Of the runner.
        took_s: Until the process ended.
    """

    ends: list[float] = field(default_factory=list)
    memory: list[tuple[float, float, float]] = field(default_factory=list)
    peak_mib: float = 0.0
    took_s: float = 0.0


def main(minutes: float = MINUTES, stages: int = STAGES) -> int:
    """Run both, print a table of each, and return the exit status."""
    problems = [*_long(minutes), *_short(stages)]
    print(*(f"FAILED: {problem}" for problem in problems), sep="\n")
    return bool(problems)


def _long(minutes: float) -> Iterator[str]:
    print(f"One stage of {minutes:g} min at {RPS} requests per second")
    run = watched([minutes * 60])
    began = run.ends[0] - minutes * 60
    inside = [row for row in run.memory if began + 10 <= row[0] <= run.ends[0] - 1]
    print(f"{'minute':>8}{'runner MiB':>12}{'generator MiB':>15}")
    for minute in range(1, round(minutes) + 1):
        rows = [row for row in inside if row[0] - began < minute * 60]
        print(f"{minute:8}{rows[-1][1]:12.1f}{rows[-1][2]:15.1f}")
    print(f"highest {run.peak_mib:.1f} MiB; the report took {run.took_s - run.ends[0]:.2f} s\n")
    length = (inside[-1][0] - inside[0][0]) / 60
    for what, column in (("runner", 1), ("generator", 2)):
        growth = (inside[-1][column] - inside[0][column]) / length
        print(f"{what}: {growth:+.2f} MiB per minute, at most {MAX_GROWTH_MIB:g}")
        if growth > MAX_GROWTH_MIB:
            yield f"the {what} grows by {growth:.2f} MiB per minute"
    print()


def _short(stages: int) -> Iterator[str]:
    print(f"{stages} stages of 1 s at {RPS} requests per second")
    run = watched([1.0] * stages)
    gaps = [after - before - 1.0 for before, after in zip(run.ends, run.ends[1:], strict=False)]
    step = max(1, stages // 10)
    print(f"{'stages':>12}{'s beside each':>15}{'runner MiB':>12}{'generator MiB':>15}")
    for at in range(0, len(gaps), step):
        part = gaps[at : at + step]
        row = [row for row in run.memory if row[0] <= run.ends[min(at + step, len(run.ends) - 1)]][-1]
        print(f"{at + 2:>6}–{at + 1 + len(part):<5}{sum(part) / len(part):15.3f}{row[1]:12.1f}{row[2]:15.1f}")
    print(f"highest {run.peak_mib:.1f} MiB; the report took {run.took_s - run.ends[-1]:.2f} s\n")
    overhead = sum(gaps) / len(gaps)
    print(f"each stage took {overhead:.3f} s more than its length, at most {MAX_OVERHEAD_S:g}\n")
    if overhead > MAX_OVERHEAD_S:
        yield f"a stage takes {overhead:.3f} s beside its length"


def watched(lengths: list[float]) -> Watched:
    """Execute stages of these lengths, in seconds, and return what was seen of the run."""
    with tempfile.TemporaryDirectory(prefix="loadproof-soak-") as name:
        folder = Path(name)
        stages = (f"  - {{name: stage-{n}, rps: {RPS}, duration: {s:g}s}}" for n, s in enumerate(lengths, 1))
        (folder / "soak.yaml").write_text(_SPEC.format(stages="\n".join(stages)), encoding="utf-8")
        command = [RUNNER, "execute", folder / "soak.yaml", "--out", folder / "run", "--no-calibrate"]
        environment = os.environ | {"PATH": f"{RUNNER.parent}:{os.environ['PATH']}"}
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
            run = _watch(process, folder / "run" / "journal.ndjson")
        if len(run.ends) != len(lengths):
            sys.exit(f"the run failed with status {process.returncode}:\n{(folder / 'log').read_text()}")
        return run


def _watch(process: subprocess.Popen[bytes], journal: Path) -> Watched:
    """Look at the journal and, once a second, at the memory until a run ends."""
    run, began, seen, next_memory_s = Watched(), time.monotonic(), 0, 0.0
    while process.poll() is None:
        now_s = time.monotonic() - began
        if journal.exists() and (size := journal.stat().st_size) != seen:
            with journal.open("rb") as file:
                file.seek(seen)
                run.ends += [now_s] * file.read(size - seen).count(b"\n")
            seen = size
        if now_s >= next_memory_s:
            next_memory_s += _MEMORY_EVERY_S
            _add_memory(run, process.pid, now_s)
        time.sleep(_BEAT_S)
    run.took_s = time.monotonic() - began
    return run


def _add_memory(run: Watched, pid: int, now_s: float) -> None:
    try:
        own, run.peak_mib = _status_mib(pid, "VmRSS"), _status_mib(pid, "VmHWM")
        run.memory.append(
            (now_s, own, max((_status_mib(worker, "VmRSS") for worker in _workers(pid)), default=0.0))
        )
    except (OSError, StopIteration):
        return  # a process has just ended


def _workers(pid: int) -> Iterator[int]:
    for child in Path(f"/proc/{pid}/task").glob("*/children"):
        for worker in child.read_text(encoding="ascii").split():
            if b"runner.load.worker" in Path(f"/proc/{worker}/cmdline").read_bytes():
                yield int(worker)


def _status_mib(pid: int, name: str) -> float:
    with Path(f"/proc/{pid}/status").open(encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(f"{name}:")) / 1024


if __name__ == "__main__":
    sys.exit(main(*(kind(text) for kind, text in zip((float, int), sys.argv[1:], strict=False))))
