#!/usr/bin/env python3
"""Runs the experiments of reports/README.md again, one after another, and puts what comes out in their place.

The table there is the list: the command in its last column is what is run.

python infra/reports/refresh.py [NAME ...] [-- MORE ARGUMENTS OF runner execute]
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
REPORTS = ROOT / "reports"
ROW = re.compile(r"^\| \[([a-z0-9-]+)\]\([^)]*\) \|.*\| `runner (execute [^`]+)` \|$", re.MULTILINE)
WRITTEN = {0, 4, 99}
"""Exit codes of runs that wrote a report: done, a stage invalid, a threshold failed."""

NOT_KEPT = ("report.html", "provenance")
"""Large, and in the archive or made from it: `runner report ARCHIVE --format html`."""


def commands(readme: str) -> dict[str, list[str]]:
    """Name of each report to the arguments of ``runner`` that make it."""
    return {name: shlex.split(command) for name, command in ROW.findall(readme)}


def refresh(name: str, arguments: Sequence[str]) -> str:
    """Run one experiment; its old report stays until a new one is whole. Says what happened."""
    place, new = REPORTS / name, REPORTS / f".{name}.new"  # as deep, so that relative paths hold
    shutil.rmtree(new, ignore_errors=True)
    runner = Path(sys.executable).parent / "runner"
    command = [runner, *(str(new) if each == f"reports/{name}" else each for each in arguments)]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code not in WRITTEN or len(list(new.glob("*.zip"))) != 1:
        return f"{name}: exit code {code} and no whole run; the old report is still there"
    for extra in NOT_KEPT:
        _remove(new / extra)
    if place.exists():
        for kept in _made_by_hand(place):
            shutil.copy2(kept, new / kept.name)
        shutil.rmtree(place)
    new.rename(place)
    return f"{name}: exit code {code}, {_size(place):,} KiB; git add -f reports/{name}"


def _made_by_hand(folder: Path) -> Iterator[Path]:
    """Pictures that no run writes, such as a screenshot of the page."""
    yield from folder.glob("*.png")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _size(folder: Path) -> int:
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1024)


def main(words: Sequence[str]) -> int:
    """Refresh the reports that are named, or all of them; 1 when one was not."""
    cut = words.index("--") if "--" in words else len(words)
    names, more = words[:cut], words[cut + 1 :]
    known = commands((REPORTS / "README.md").read_text(encoding="utf-8"))
    if unknown := [name for name in names if name not in known]:
        sys.stderr.write(f"no report {', '.join(unknown)}; there are {', '.join(known)}\n")
        return 2
    said = [refresh(name, [*known[name], *more]) for name in names or known]
    sys.stdout.write("\n".join(said) + "\n")
    return int(any("no whole run" in line for line in said))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
