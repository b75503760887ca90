"""Fuzzes one target in a process of its own: guided by coverage where atheris is installed, else by chance.

    python -m tests.fuzz.session TARGET CORPUS SECONDS [--by-chance]

Inputs that reach new code are added to the folder CORPUS. A finding ends the process with a traceback and an
exit status that is not 0, and leaves its input as `CORPUS.finding-*`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import sys
import time
from pathlib import Path
from random import Random

from tests.fuzz.target import Target, corpus, load

_MAX_SECONDS_AN_INPUT = 10
_MAX_MEMORY_MIB = 1500


def main(name: str, folder: str, seconds: str, *options: str) -> None:
    """Fuzz until the time is over or something is found."""
    by_chance = "--by-chance" in options or importlib.util.find_spec("atheris") is None
    Path(folder).mkdir(parents=True, exist_ok=True)
    (_by_chance if by_chance else _guided)(name, Path(folder), float(seconds))


def _guided(name: str, folder: Path, seconds: float) -> None:
    import atheris

    with atheris.instrument_imports(include=["runner", "yaml"]):
        target = load(name)
    _write_seeds(name, target, folder)

    def mutated(data: bytes, max_bytes: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.05:
            return atheris.Mutate(data, max_bytes)
        return target.mutate(data, random)[:max_bytes]

    arguments = [
        f"-max_total_time={max(1, round(seconds))}", f"-max_len={target.max_bytes}", f"-timeout={_MAX_SECONDS_AN_INPUT}",
        f"-rss_limit_mb={_MAX_MEMORY_MIB}", f"-artifact_prefix={folder}.finding-", "-len_control=0",
        "-print_final_stats=1", "-verbosity=1", str(folder),
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *arguments], target.check, custom_mutator=mutated)
    atheris.Fuzz()


def _by_chance(name: str, folder: Path, seconds: float) -> None:
    target = load(name)
    inputs = [*target.seeds(), *corpus(name)]
    ends = time.monotonic() + seconds
    for seed in itertools.count():
        random = Random(seed)
        data = inputs[seed] if seed < len(inputs) else target.mutate(random.choice(inputs), random)
        _check(target, data[: target.max_bytes], folder)
        if time.monotonic() > ends:
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


def _write_seeds(name: str, target: Target, folder: Path) -> None:
    for data in (*target.seeds(), *corpus(name)):
        (folder / _digest(data)).write_bytes(data)


def _digest(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


if __name__ == "__main__":
    main(*sys.argv[1:])
