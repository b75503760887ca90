"""Fuzzes several targets at a time, each in a process of its own, and collects what they find."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[2]
_STARTING_S = 120
"""How long a process may take beside its fuzzing, on a busy machine."""
_MOST_S = 600
"""How long it may take for a number of runs."""
_SHOWN_BYTES = 6_000
_RUNS = re.compile(rb"number_of_executed_units: (\d+)")


@dataclass(frozen=True)
class Fuzzed:
    """What came of one target.

    Attributes:
        runs: How many inputs were tried.
        findings: Files with inputs that are handled wrongly.
        output: The end of what the process printed.
    """

    name: str
    ok: bool
    runs: int
    findings: tuple[Path, ...]
    output: str


def fuzz(names: Sequence[str], seconds: float, folder: Path, *, at_once: int) -> list[Fuzzed]:
    """Fuzz targets for some seconds each; the folder receives their inputs and their findings."""
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(partial(fuzz_one, seconds=seconds, folder=folder), names))


def fuzz_one(
    name: str,
    *,
    folder: Path,
    seconds: float = 0,
    runs: int = 0,
    options: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> Fuzzed:
    """Fuzz one target in a process, for some seconds or, if that is given, for a number of runs."""
    limit = f"--runs={runs}" if runs else f"--seconds={seconds}"
    command = [sys.executable, "-P", "-m", "tests.fuzz.session", name, folder / name, limit, *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", **(env or {})}
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd=folder)
        try:
            status = process.wait(_MOST_S if runs else seconds + _STARTING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
    printed = log.read_bytes()
    runs = _RUNS.search(printed)
    findings = tuple(sorted(folder.glob(f"{name}.finding-*")))
    shown = printed[-_SHOWN_BYTES:].decode(errors="replace")
    return Fuzzed(name, status == 0 and not findings, int(runs[1]) if runs else 0, findings, shown)
