#!/usr/bin/env python3
"""Runs the experiments of reports/README.md again, one after another, and replaces their reports.

The table in that file is the list: the last column contains the command.

python infra/reports/refresh.py [NAME ...] [-- MORE ARGUMENTS OF runner execute]
python infra/reports/refresh.py --recount [NAME ...]

The second form runs nothing: it analyzes what was measured again, by the current rules, and renders that.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.archive.files import KEPT as RECORDED
from runner.archive.provenance import PROVENANCE

ROOT = Path(__file__).parents[2]
REPORTS = ROOT / "reports"
ROW = re.compile(r"^\| \[([a-z0-9-]+)\]\([^)]*\) \|.*\| `runner (execute [^`]+)` \|$", re.MULTILINE)
WRITTEN = {0, 4, 99}
"""Exit codes of runs that wrote a report: done, invalid stage, failed threshold."""

KEPT = ("charts", "journal.ndjson", "report.md", "results.json", "run.json", "spec.yaml")
"""Beside the archive, which has the others or makes them: `runner report ARCHIVE --format html`."""


def commands(readme: str) -> dict[str, list[str]]:
    """Return the name of each report and the arguments of ``runner`` that create it."""
    return {name: shlex.split(command) for name, command in ROW.findall(readme)}


@dataclass(frozen=True, slots=True)
class Refreshed:
    """Whether a report was replaced, and a message for people."""

    replaced: bool
    message: str


def refresh(name: str, arguments: Sequence[str]) -> Refreshed:
    """Run one experiment, and replace its report if the run is complete."""
    place, new = (
        REPORTS / name,
        REPORTS / f".{name}.new",
    )  # same depth: relative paths stay valid
    shutil.rmtree(new, ignore_errors=True)
    runner = Path(sys.executable).parent / "runner"
    command = [runner, *(str(new) if word == f"reports/{name}" else word for word in arguments)]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code not in WRITTEN or len(list(new.glob("*.zip"))) != 1:
        return Refreshed(False, f"{name}: exit code {code}, incomplete run; the old report was kept")
    return _replace(place, new, f"{name}: exit code {code}")


def recount(name: str) -> Refreshed:
    """Analyze the run of a report again, render it, and pack its archive."""
    place, new = REPORTS / name, REPORTS / f".{name}.new"
    shutil.rmtree(new, ignore_errors=True)
    (archive,) = place.glob("*.zip")
    _runner("archive", "extract", archive, new)
    for path in [path for pattern in RECORDED for path in new.glob(pattern)]:
        target = new / PROVENANCE / path.relative_to(new)  # where the folder of a run has it
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    _runner("report", new, "--recount", "--format", "json", "--out", new / "results.json")
    _runner("report", new, "--write")
    _runner("archive", "pack", new)
    return _replace(place, new, f"{name}: analyzed again")


def _runner(*words: str | Path) -> None:
    subprocess.run([Path(sys.executable).parent / "runner", *words], cwd=ROOT, check=True)


def _replace(place: Path, new: Path, message: str) -> Refreshed:
    """Put the new folder of a run in the place of a report, as far as it is kept."""
    for path in list(new.iterdir()):
        if path.name not in KEPT and path.suffix != ".zip":
            _remove(path)
    if place.exists():
        for picture in place.glob("*.png"):  # screenshots, which no run writes
            shutil.copy2(picture, new / picture.name)
        shutil.rmtree(place)
    new.rename(place)
    message = f"{message}, {_size_kib(place):,} KiB; git add -f reports/{place.name}"
    return Refreshed(True, message + _doubts(place / "results.json"))


def _doubts(path: Path) -> str:
    """Return a warning with the number of stages that are not valid; a quieter machine may make them so."""
    configurations = json.loads(path.read_text(encoding="utf-8"))["configurations"]
    stages = [stage for configuration in configurations for stage in configuration["stages"]]
    doubtful = sum(stage["validity"]["status"] != "valid" for stage in stages)
    return f"; {doubtful} of {len(stages)} stages are suspect or invalid: run it again" if doubtful else ""


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _size_kib(folder: Path) -> int:
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1024)


def main(words: Sequence[str]) -> int:
    """Refresh the named reports, or all; return 1 if one of them was kept."""
    again, words = "--recount" in words, [word for word in words if word != "--recount"]
    cut = words.index("--") if "--" in words else len(words)
    names, more = words[:cut], words[cut + 1 :]
    known = commands((REPORTS / "README.md").read_text(encoding="utf-8"))
    if unknown := [name for name in names if name not in known]:
        sys.stderr.write(f"unknown report: {', '.join(unknown)}; the reports are {', '.join(known)}\n")
        return 2
    results = [recount(name) if again else refresh(name, [*known[name], *more]) for name in names or known]
    sys.stdout.writelines(f"{result.message}\n" for result in results)
    return int(not all(result.replaced for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
