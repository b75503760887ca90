"""Folders of real runs, as `runner execute` writes them."""

import shutil
from pathlib import Path

from msgspec.structs import replace

from runner.core.results import Results
from runner.report.charts.render import charts
from runner.report.markdown import render_markdown
from runner.store.chart_process import Pictures, draw
from runner.store.journal import encode_entry, read
from runner.store.reanalyze import reanalyze_folder
from runner.store.rendered_files import chart_files
from runner.store.results_file import encode_results, read_results
from runner.store.run_file import RUN, RunFile, parse_run_file
from runner.store.run_folder import RESULTS
from runner.store.run_names import MARKDOWN

REPORTS = Path("reports")


def run_folder(name: str, at: Path) -> Path:
    """A copy of a committed report without its archive, with the run.json that older runs did not write."""
    shutil.copytree(REPORTS / name, at, ignore=shutil.ignore_patterns("*.zip"))
    if not (at / RUN).exists():
        run = read(at / "journal.ndjson")[-1].run
        run = replace(run, finished_at=read_results(at / RESULTS).run.finished_at)
        (at / RUN).write_bytes(RunFile(run, "../../experiments").to_json())
    return at


_drawn: dict[str, Pictures] = {}


def _pictures(name: str, results: Results) -> Pictures:
    """Draw the charts of a report once: it takes longer than all else, and gives the same."""
    if name not in _drawn:
        _drawn[name] = draw(charts(results))
    return _drawn[name]


def fresh_run(name: str, at: Path) -> Path:
    """The same folder as this version would write it: results, report and charts made from the journal."""
    run = run_folder(name, at)
    (run / RUN).write_bytes(parse_run_file((run / RUN).read_bytes(), RUN).to_json())
    lines = [encode_entry(entry) + b"\n" for entry in read(run / "journal.ndjson")]
    (run / "journal.ndjson").write_bytes(b"".join(lines))
    results = reanalyze_folder(run)
    (run / RESULTS).write_bytes(encode_results(results))
    pictures = _pictures(name, results)
    for file, content in chart_files(pictures).items():
        (run / file).write_bytes(content)
    (run / MARKDOWN).write_text(render_markdown(results, pictures=pictures), encoding="utf-8")
    return run
