"""results.json: refused, or rendered in every form without power for any of its texts."""

import json
import zlib
from pathlib import Path
from random import Random

from msgspec.structs import replace

from runner.analyze.comparison import compare
from runner.analyze.history import history
from runner.analyze.reproduction import reproduction
from runner.core.results import Results
from runner.publish.comment import Draft
from runner.report.charts.render import charts
from runner.report.comparison import brief_comparison, render_comparison
from runner.report.csv_table import render_csv
from runner.report.history import render_history
from runner.report.junit import render_junit
from runner.report.markdown import render_markdown
from runner.report.page.render import render_page
from runner.report.reproduction import render_reproduction
from runner.store.results_file import encode_results, parse_results
from tests.fuzz.markup import check_csv, check_html, check_junit, check_markdown
from tests.fuzz.mutators import mutate_json
from tests.fuzz.target import Target, accepted
from tests.store.results_places import documents

FILE = Path("results.json")
COMMENT_LENGTHS = (65_536, 3_000)


def seeds():
    return (json.dumps(document).encode() for document in documents())


def check(data: bytes) -> None:
    results = accepted(lambda: parse_results(data, FILE))
    if results is None:
        return
    assert parse_results(encode_results(results), FILE) == results
    check_reports(results)
    other = accepted(lambda: parse_results(mutate_json(data, Random(zlib.crc32(data))), FILE))
    if other is not None:
        check_pair(results, replace(other, run=replace(other.run, id=f"{results.run.id[:40]}-other")))


def check_reports(results: Results) -> None:
    """Render results in every form."""
    pictures = {chart.name: (chart.alt,) for chart in charts(results)}
    check_markdown(render_markdown(results, pictures=pictures))
    check_html(render_page(results))
    check_csv(render_csv(results))
    check_junit(render_junit(results))
    for length in COMMENT_LENGTHS:
        comment = Draft(results).render(length)
        assert len(comment.encode("utf-16-le")) // 2 <= length, "a comment longer than allowed"
        check_markdown(comment)


def check_pair(one: Results, other: Results) -> None:
    """Render what is made from two runs."""
    compared = accepted(lambda: compare([one], [other], force=True))
    if compared is not None:
        check_markdown(render_comparison(compared))
        check_markdown(brief_comparison(compared))
        check_markdown(Draft(one, other).render(65_536))
    check_markdown(render_history(history([one, other], margin=0.05)))
    reproduced = accepted(lambda: reproduction(one, other))
    if reproduced is not None:
        check_markdown(render_reproduction(reproduced))


TARGET = Target(seeds, check, mutate_json, max_bytes=64 * 1024)
