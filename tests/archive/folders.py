"""Folders of real runs, as `runner execute` leaves them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from runner.report.charts.render import charts
from runner.report.markdown import render_markdown
from runner.store.journal import read
from runner.store.reanalyze import recount_folder
from runner.store.rendered_files import MARKDOWN
from runner.store.results_file import read_results
from runner.store.run_file import RUN, Begun
from runner.store.run_folder import RESULTS

REPORTS = Path("reports")


def run_folder(name: str, at: Path) -> Path:
    """A copy of a committed report without its archive, with the run.json that older runs did not write."""
    shutil.copytree(REPORTS / name, at, ignore=shutil.ignore_patterns("*.zip"))
    if not (at / RUN).exists():
        run = read(at / "journal.ndjson")[-1].run
        found = read_results(at / RESULTS)["run"]
        run = replace(run, finished_at=found["finished_at"])
        (at / RUN).write_bytes(Begun(run, "../../experiments").as_json())
    return at


def fresh_run(name: str, at: Path) -> Path:
    """The same as this version would have written it: its numbers and its report made from its journal."""
    run = run_folder(name, at)
    results = recount_folder(run)
    (run / RESULTS).write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    drawn = {each.name: (each.alt,) for each in charts(results) if _is_drawn(run, each.name)}
    (run / MARKDOWN).write_text(render_markdown(results, pictures=drawn), encoding="utf-8")
    return run


def _is_drawn(run: Path, chart: str) -> bool:
    return (run / "charts" / f"{chart}-light.svg").exists()
