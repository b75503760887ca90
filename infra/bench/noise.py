"""How much the numbers of one system differ by themselves, on this machine, now.

Runs one experiment several times back to back, compares every run with every later one, and counts
what `runner compare` calls better or worse: each of those is a false alarm.

python -m infra.bench.noise [RUNS [SPEC [FOLDER]]]     FOLDER keeps the runs; those that are in it count
"""

from __future__ import annotations

import copy
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import combinations
from math import log
from pathlib import Path
from statistics import median, stdev
from typing import Any

from runner.analyze.comparison import compare
from runner.analyze.key_metrics import HEADLINES
from runner.store.results_file import read_results

ROOT = Path(__file__).parents[2]
RUNS = 10
SPEC = ROOT / "experiments" / "quickstart.yaml"
Results = dict[str, Any]


def runs(count: int, spec: Path, folder: Path) -> list[Results]:
    """The results of so many runs, oldest first."""
    runner = Path(sys.executable).parent / "runner"
    for number in range(1, count + 1):
        out = folder / f"{number:02}"
        if not (out / "results.json").exists():
            print(f"run {number} of {count}", file=sys.stderr, flush=True)
            command = [runner, "execute", spec, "--quiet", "--out", out]
            subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    return [read_results(folder / f"{number:02}") for number in range(1, count + 1)]


def stages_of(found: Sequence[Results]) -> list[dict[str, Any]]:
    return [stage for results in found for stage in results["configurations"][0]["stages"]]


def suspect(stage: dict[str, Any]) -> bool:
    return stage["validity"]["status"] != "valid"


def spread(found: Sequence[Results]) -> list[list[str]]:
    """A row for each stage and headline number: its median, and how far runs are from each other.

    Of stages that are valid; what disturbed the others is no noise of the tool.
    """
    rows = []
    for name in dict.fromkeys(stage["name"] for stage in stages_of(found)):
        stages = [each for each in stages_of(found) if each["name"] == name and not suspect(each)]
        for headline in HEADLINES:
            values = [v for stage in stages if (v := headline.value(stage)) is not None]
            if not headline.relative or len(values) < 2 or min(values) <= 0:
                continue
            factor = max(values) / min(values)
            noise = stdev(map(log, values))
            rows.append(
                [
                    name,
                    headline.key,
                    str(len(values)),
                    f"{median(values):,.3g}",
                    f"{noise:.1%}",
                    f"× {factor:.2f}",
                ]
            )
    return rows


def alarms(found: Sequence[Results]) -> tuple[int, list[str], int]:
    """How many pairs there are, what was called better or worse in them, and in how many."""
    said = []
    pairs = list(combinations(found, 2))
    loud = 0
    for base, head in pairs:
        compared = compare([base], [head])
        told = [
            f"{stage['stage']} {metric['name']} {metric['change']:+.1%} ({metric['verdict']})"
            for stage in compared["stages"]
            for metric in stage["metrics"]
            if metric["verdict"] in {"better", "worse"}
        ]
        loud += bool(told)
        said += told
    return len(pairs), said, loud


def believed(found: Sequence[Results]) -> list[Results]:
    """The same runs as if no stage were suspect: what comparisons would say without that mark."""
    copies = copy.deepcopy(list(found))
    for stage in stages_of(copies):
        stage["validity"] = {"status": "valid", "reasons": []}
    return copies


def main(words: Sequence[str]) -> None:
    count = int(words[0]) if words else RUNS
    spec = Path(words[1]) if len(words) > 1 else SPEC
    with tempfile.TemporaryDirectory(prefix="noise-") as scratch:
        found = runs(count, spec, Path(words[2]) if len(words) > 2 else Path(scratch))
    print("| stage | number | runs | median | standard deviation | highest ÷ lowest |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for row in spread(found):
        print(f"| {' | '.join(row)} |")
    pairs, said, loud = alarms(found)
    doubted = sum(map(suspect, stages_of(found)))
    print(f"\n{doubted} of {len(stages_of(found))} stages are suspect, and left out of the table.", end="")
    half = count // 2
    halves = compare(found[:half], found[half:])
    print(f"\n{count} runs, {pairs} pairs: {loud} in which anything is called different. {'; '.join(said)}")
    print(f"If no stage were marked suspect, it would be {alarms(believed(found))[2]} of the pairs.")
    print(f"The first {half} against the others: {halves['verdict']}. Smallest differences they could show:")
    for stage in halves["stages"]:
        shown = (f"{each['name']} {each['detectable']:.0%}" for each in stage["metrics"])
        print(f"- {stage['stage']}: {', '.join(shown)}")


if __name__ == "__main__":
    main(sys.argv[1:])
