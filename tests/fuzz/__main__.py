"""Fuzzes by hand, for as long as you like, and keeps the inputs that reach new code.

    python -m tests.fuzz SECONDS [TARGET ...]

Targets run as many at a time as there are processors; without names, the compiled exchange is also fuzzed
with sanitizers. New inputs go to tests/fuzz/corpus, the smallest that reach the same code; inputs that are
handled wrongly go to tests/fuzz/findings, and the exit status is 1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.fuzz.sanitized import compiler, fuzz_sanitized
from tests.fuzz.side_by_side import Fuzzed, fuzz
from tests.fuzz.target import HERE, NAMES, load

MAX_CORPUS_BYTES = 150 * 1024
"""Of one target: all together stay below 1 MiB."""
FINDINGS = HERE / "findings"


def main(seconds: str = "600", *names: str) -> int:
    """Fuzz, print a line for each target, and return the exit status."""
    with tempfile.TemporaryDirectory(prefix="loadproof-fuzz-") as name:
        folder = Path(name)
        results = fuzz(names or NAMES, float(seconds), folder, at_once=os.cpu_count() or 1)
        for result in results:
            _show(result)
            if result.ok:
                print(f"{'':16}{_keep(result.name, folder / result.name)} in the corpus")
        if not names and compiler():
            results.append(_compiled(float(seconds), folder / "compiled"))
    return int(not all(result.ok for result in results))


def _compiled(seconds: float, folder: Path) -> Fuzzed:
    folder.mkdir()
    result = replace(fuzz_sanitized(folder, seconds=seconds), name="compiled")
    _show(result)
    return result


def _show(result: Fuzzed) -> None:
    print(f"{result.name:16}{result.runs:>10,} inputs{'' if result.ok else ', FAILED'}", flush=True)
    FINDINGS.mkdir(exist_ok=True)
    for path in result.findings:
        print(f"{'':16}{shutil.copy(path, FINDINGS)}")
    if not result.ok:
        print(result.output)


def _keep(name: str, inputs: Path) -> str:
    """Replace a target's corpus by the smallest inputs that reach the same code; returns its size."""
    smallest = inputs.with_name(f"{name}.smallest")
    smallest.mkdir()
    merge = [sys.executable, "-m", "tests.fuzz.session", name, "-", "-merge=1", smallest, inputs]
    subprocess.run(merge, check=True, capture_output=True)
    seeds = set(load(name).seeds())
    kept, size = HERE / "corpus" / name, 0
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    for path in sorted(smallest.iterdir(), key=lambda path: path.stat().st_size):
        size += path.stat().st_size
        if size <= MAX_CORPUS_BYTES and path.read_bytes() not in seeds:
            shutil.copy(path, kept / path.name[:12])
    files = list(kept.iterdir())
    return f"{len(files)} files, {sum(file.stat().st_size for file in files) // 1024} KiB"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
