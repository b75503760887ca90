"""Folders of runs for tests: copies of real runs with other times and latencies."""

import json
import os
import shutil
from pathlib import Path

REPORTS = Path(__file__).parents[2] / "reports"
KEPT = ("journal.ndjson", "run.json", "spec.yaml", "report.md")


def highest_sustained(experiment: str) -> int:
    """Return the highest rate that a search of the stored run found."""
    results = json.loads((REPORTS / experiment / "results.json").read_text(encoding="utf-8"))
    searches = [search for one in results["configurations"] for search in one["capacity"]]
    return int(max(search["rps"] for search in searches))


def add_run(folder: Path, experiment: str = "quickstart", number: int = 0, *, faster: float = 1.0) -> Path:
    """Add a run of an experiment, `number` days after the stored one, with other latencies."""
    source = REPORTS / experiment
    run = folder / experiment / f"run-{number:05}"
    run.mkdir(parents=True)
    text = (source / "results.json").read_text(encoding="utf-8")
    results = json.loads(text)
    results["run"]["id"] = f"{number:08x}"
    results["run"]["started_at"] = (
        f"2026-{1 + number // 28 % 12:02}-{1 + number % 28:02}T{number % 24:02}:10:00+00:00"
    )
    results["run"]["finished_at"] = (
        f"2026-{1 + number // 28 % 12:02}-{1 + number % 28:02}T{number % 24:02}:11:30+00:00"
    )
    for configuration in results["configurations"]:
        for stage in configuration["stages"]:
            for name in ("duration_ms", "response_time_ms"):
                latency = stage[name]
                stage[name] = {
                    key: value / faster if isinstance(value, int | float) and key != "count" else value
                    for key, value in latency.items()
                }
    (run / "results.json").write_text(json.dumps(results), encoding="utf-8")
    for name in KEPT:
        if (source / name).exists():
            shutil.copyfile(source / name, run / name)
    return run


def add_archive(folder: Path, experiment: str = "quickstart", name: str = "kept.zip") -> Path:
    """Add the archive of a real run."""
    folder.mkdir(parents=True, exist_ok=True)
    (source,) = (REPORTS / experiment).glob("*.zip")
    return Path(shutil.copyfile(source, folder / name))


def link_many(folder: Path, source: Path, number: int) -> None:
    """Add many runs, each a folder of its own whose files are hard links to those of one run."""
    for at in range(number):
        run = folder / f"{at % 50:02}" / f"run-{at:05}"
        run.mkdir(parents=True)
        for name in ("results.json", "journal.ndjson", "run.json", "spec.yaml"):
            os.link(source / name, run / name)
