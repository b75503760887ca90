"""How far the numbers of one system differ by themselves, on this machine, now.

Runs one experiment several times, compares every run with every later one, and counts what `runner compare`
calls better or worse: each of those is a false alarm.

python -m infra.bench.noise [RUNS [SPEC [FOLDER]]]     FOLDER keeps the runs; those that are in it count
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import combinations
from math import log
from pathlib import Path
from statistics import median, stdev

from msgspec.structs import replace

from runner.analyze.comparison import compare
from runner.analyze.key_metrics import KEY_METRICS
from runner.core.codes import ComparisonVerdict, Validity
from runner.core.judgements import StageValidity
from runner.core.results import Results
from runner.core.stage_results import Stage
from runner.store.results_file import read_results

ROOT = Path(__file__).parents[2]
RUNS = 10
SPEC = ROOT / "experiments" / "quickstart.yaml"


def run_all(count: int, spec: Path, folder: Path) -> list[Results]:
    """The results of so many runs, oldest first."""
    runner = Path(sys.executable).parent / "runner"
    for number in range(1, count + 1):
        out = folder / f"{number:02}"
        if not (out / "results.json").exists():
            print(f"run {number} of {count}", file=sys.stderr, flush=True)
            command = [runner, "execute", spec, "--quiet", "--out", out]
            code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
            if not (out / "results.json").exists():
                sys.exit(f"run {number} left no results (exit code {code}); its message is above")
    return [read_results(folder / f"{number:02}") for number in range(1, count + 1)]


def stages_of(runs: Sequence[Results]) -> list[Stage]:
    return [stage for results in runs for stage in results.configurations[0].stages]


def is_suspect(stage: Stage) -> bool:
    return stage.validity.status is not Validity.VALID


def spread(runs: Sequence[Results]) -> Iterator[list[str]]:
    """A row for each stage and key metric: its median, and how far runs differ. Valid stages only."""
    for name in dict.fromkeys(stage.name for stage in stages_of(runs)):
        stages = [stage for stage in stages_of(runs) if stage.name == name and not is_suspect(stage)]
        for metric in KEY_METRICS:
            values = [value for stage in stages if (value := metric.of(stage)) is not None]
            if not metric.relative or len(values) < 2 or min(values) <= 0:
                continue
            noise, factor = stdev(map(log, values)), max(values) / min(values)
            row = [f"{median(values):,.3g}", f"{noise:.1%}", f"× {factor:.2f}"]
            yield [name, metric.key, str(len(values)), *row]


def alarms(runs: Sequence[Results]) -> tuple[int, list[str], int]:
    """How many pairs there are, what is called better or worse in them, and in how many."""
    pairs = list(combinations(runs, 2))
    by_pair = [
        [
            f"{stage.stage} {metric.name} {metric.change:+.1%} ({metric.verdict})"
            for stage in compare([base], [head]).stages
            for metric in stage.metrics
            if metric.verdict in {ComparisonVerdict.BETTER, ComparisonVerdict.WORSE}
        ]
        for base, head in pairs
    ]
    return len(pairs), [alarm for pair in by_pair for alarm in pair], sum(map(bool, by_pair))


def as_valid(results: Results) -> Results:
    """The same run as if no stage were suspect: what comparisons would say without that mark."""
    first, *rest = results.configurations
    valid = StageValidity(Validity.VALID, ())
    stages = tuple(replace(stage, validity=valid) for stage in first.stages)
    return replace(results, configurations=(replace(first, stages=stages), *rest))


def main(words: Sequence[str]) -> None:
    count = int(words[0]) if words else RUNS
    spec = Path(words[1]) if len(words) > 1 else SPEC
    with tempfile.TemporaryDirectory(prefix="noise-") as scratch:
        runs = run_all(count, spec, Path(words[2]) if len(words) > 2 else Path(scratch))
    print("| stage | number | runs | median | standard deviation | highest ÷ lowest |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for row in spread(runs):
        print(f"| {' | '.join(row)} |")
    pairs, found, alarmed = alarms(runs)
    suspect = sum(map(is_suspect, stages_of(runs)))
    print(f"\n{suspect} of {len(stages_of(runs))} stages are suspect and left out of the table.")
    print(f"{count} runs, {pairs} pairs: {alarmed} in which anything is called different. {'; '.join(found)}")
    print(f"If no stage were marked suspect, it would be {alarms([as_valid(run) for run in runs])[2]} pairs.")
    half = count // 2
    halves = compare(runs[:half], runs[half:])
    print(f"The first {half} against the others: {halves.verdict}. Smallest differences they could show:")
    for stage in halves.stages:
        shown = (f"{metric.name} {metric.detectable:.0%}" for metric in stage.metrics)
        print(f"- {stage.stage}: {', '.join(shown)}")


if __name__ == "__main__":
    main(sys.argv[1:])
