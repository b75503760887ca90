"""Fuzzes one target in a process of its own: guided by coverage where atheris is installed, else by chance.

    python -m tests.fuzz.session TARGET CORPUS (--seconds=N | --runs=N) [--by-chance]
    python -m tests.fuzz.session TARGET - LIBFUZZER_ARGUMENTS

Inputs that reach new code are added to the folder CORPUS. A finding ends the process with a traceback and an
exit status that is not 0, and leaves its input as `CORPUS.finding-*`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import math
import sys
import time
from pathlib import Path
from random import Random

from tests.fuzz.target import Target, inputs, load

_MAX_SECONDS_AN_INPUT = 10
_MAX_MEMORY_MIB = 1500


def main(name: str, corpus: str, *options: str) -> None:
    """Fuzz until the time is over, all runs are done, or something is found."""
    if corpus == "-":
        _guided(name, *options)
        return
    folder = Path(corpus)
    folder.mkdir(parents=True, exist_ok=True)
    kind, _, limit = options[0].partition("=")
    seconds = float(limit) if kind == "--seconds" else math.inf
    runs = int(limit) if kind == "--runs" else 0
    if "--by-chance" in options or importlib.util.find_spec("atheris") is None:
        _by_chance(name, folder, seconds, runs)
    else:
        most = f"-runs={runs}" if runs else f"-max_total_time={max(1, round(seconds))}"
        _guided(name, most, f"-artifact_prefix={corpus}.finding-", corpus, begin_in=folder)


def _guided(name: str, *arguments: str, begin_in: Path | None = None) -> None:
    """Run libFuzzer, which ends the process; to merge, it runs this command again."""
    import atheris

    with atheris.instrument_imports(include=["runner", "yaml"]):
        target = load(name)  # not before: what is imported already is not measured
    if begin_in:
        _write_inputs(name, begin_in)

    def mutated(data: bytes, max_bytes: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.05:
            return atheris.Mutate(data, max_bytes)
        return target.mutate(data, random)[:max_bytes]

    command = f"{sys.executable} -m tests.fuzz.session {name} -"
    limits = (
        f"-max_len={target.max_bytes}",
        f"-timeout={_MAX_SECONDS_AN_INPUT}",
        f"-rss_limit_mb={_MAX_MEMORY_MIB}",
    )
    atheris.Setup(
        [command, *limits, "-print_final_stats=1", *arguments], target.check, custom_mutator=mutated
    )
    atheris.Fuzz()


def _by_chance(name: str, folder: Path, seconds: float, runs: int) -> None:
    target = load(name)
    known = inputs(name)
    ends = time.monotonic() + seconds
    for seed in itertools.count():
        random = Random(seed)
        data = known[seed] if seed < len(known) else target.mutate(random.choice(known), random)
        _check(target, data[: target.max_bytes], folder)
        if seed + 1 == runs or (seed >= len(known) and time.monotonic() > ends):
            print(f"stat::number_of_executed_units: {seed + 1}", file=sys.stderr)
            return


def _check(target: Target, data: bytes, folder: Path) -> None:
    began = time.process_time()
    try:
        target.check(data)
        took = time.process_time() - began
        assert took < _MAX_SECONDS_AN_INPUT, f"{took:.1f} s of CPU for one input"
    except BaseException:
        Path(f"{folder}.finding-{_digest(data)}").write_bytes(data)
        raise


def _write_inputs(name: str, folder: Path) -> None:
    for data in inputs(name):
        (folder / _digest(data)).write_bytes(data)


def _digest(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


if __name__ == "__main__":
    main(*sys.argv[1:])
