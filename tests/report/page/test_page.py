"""The page from stored results alone: complete, harmless, and the same each time."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from msgspec.structs import replace

from runner.core.codes import Limit, StageStatus, Validity
from runner.core.findings import Evidence, RuledOut
from runner.core.judgements import StageValidity, ThresholdResult
from runner.core.measured import Latency
from runner.core.metrics import METRICS
from runner.report.charts.render import charts
from runner.report.page.columns import COLUMNS, VERDICT, definitions
from runner.report.page.links import ExternalFiles, Link
from runner.report.page.render import render_page
from runner.store.chart_process import draw
from runner.store.results_file import encode_results, parse_results
from runner.store.vega_cache import vega_bundle
from tests.report import mixes
from tests.report.stored_results import (
    RESULTS,
    first_stage,
    stored,
    with_configuration,
    with_experiment,
    with_run,
    with_stage,
)

RUNS = ["app-server", "capacity", "docker-4k", "hop-ladder", "replicas-usl", "single-process"]


class Outline(HTMLParser):
    """Elements, ids and addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.text = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values[key] for key in ("href", "src", "srcset", "action") if key in values]

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.parametrize("name", RUNS)
def test_real_runs_become_a_page_that_refers_to_nothing_outside(name):
    page = render_page(stored(name))

    outline = Outline(page)
    assert [link for link in outline.links if not link.startswith("#")] == []
    assert {link[1:] for link in outline.links} <= set(outline.ids)
    assert len(outline.ids) == len(set(outline.ids))
    assert outline.tags.count("h1") == 1


def test_every_column_of_numbers_has_a_definition_to_go_to():
    outline = Outline(render_page(stored("app-server")))

    shown = definitions(scenarios=False)
    known = definitions(scenarios=True)
    assert {definition.anchor for definition in shown} | {VERDICT.anchor} <= set(outline.ids)
    assert {column.definition for column in COLUMNS} <= set(known)
    assert len({definition.anchor for definition in known}) == len(known)


@pytest.mark.parametrize("path", ["actual_rps", "duration.p95", "cpu.app.avg"])
def test_a_metric_has_the_title_and_the_definition_of_the_registry(path):
    outline = Outline(render_page(stored("app-server")))

    assert METRICS[path].definition in outline.text
    assert any(text.startswith(METRICS[path].title) for text in outline.text)


def test_the_same_results_give_the_same_page_and_charts():
    results = stored("single-process")

    assert render_page(results, bundle=vega_bundle()) == render_page(results, bundle=vega_bundle())
    few = charts(results)[:2]  # drawing takes half a second each
    assert draw(few) == draw(few) != {}


def test_computed_whole_numbers_and_decoded_ones_give_the_same_page():
    computed = with_stage(stored("single-process"), target_rps=100, actual_rps=100, achieved=1, window_s=10)

    decoded = parse_results(encode_results(computed), RESULTS)

    assert isinstance(first_stage(decoded).target_rps, float)
    assert render_page(decoded, bundle="0") == render_page(computed, bundle="0")
    assert 'data-value="100"' in render_page(decoded)


def test_hostile_text_stays_text():
    hostile = (
        "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{ 7*7 }}[x](javascript:alert(1))"
    )
    results = with_experiment(stored("app-server"), title=hostile, objective=hostile)
    results = with_configuration(with_run(results, command=hostile), title=hostile)
    verdict = first_stage(results).verdict
    results = with_stage(
        results,
        name=hostile,
        validity=StageValidity(Validity.INVALID, (hostile,)),
        verdict=replace(verdict, findings=(replace(verdict.findings[0], summary=hostile),)),
    )

    page = render_page(results, bundle="window.vegaEmbed = 0;")

    outline = Outline(page)
    assert "img" not in outline.tags
    assert outline.tags.count("script") == 4
    assert "49" not in re.findall(r"\{\{.*?\}\}|49(?=\[x\])", page)
    assert [link for link in outline.links if link.startswith("javascript")] == []
    assert json.loads(page.split('id="data">')[1].split("</script>")[0])["charts"]


NOT_RUN = {
    "status": StageStatus.NOT_RUN,
    "actual_rps": None,
    "achieved": None,
    "timeseries": (),
    "duration_ms": Latency(),
    "response_time_ms": Latency(),
    "cpu_cores": {},
}


@pytest.mark.parametrize(
    "change",
    [
        NOT_RUN,
        {"validity": StageValidity(Validity.INVALID, ("a worker died",))},
        {"timeseries": ()},
        {"distribution": ((50.0, 1.0), (99.0, 2.0))},
    ],
)
def test_a_stage_with_few_numbers_has_its_row(change):
    results = with_stage(stored("single-process"), **change)

    page = render_page(results, bundle="0")

    assert 'scope="row">100 RPS' in page
    assert len(charts(results)) >= 4


def test_stages_with_users_only_have_no_columns_of_the_schedule():
    results = stored("single-process")
    (configuration,) = results.configurations
    stages = tuple(replace(stage, users=5, target_rps=None) for stage in configuration.stages)
    closed = replace(results, configurations=(replace(configuration, stages=stages),))
    mixed = with_stage(results, users=5, target_rps=None)

    headings = [
        re.findall(r"definition-[a-z0-9-]+", table(render_page(one))) for one in (results, closed, mixed)
    ]

    schedule = {"definition-target-rps", "definition-achieved", "definition-response-time"}
    assert schedule <= set(headings[0])
    assert headings[0] == headings[2]
    assert headings[1] == [anchor for anchor in headings[0] if anchor not in schedule]


def table(page):
    """The table of stages."""
    return page.partition('<section aria-labelledby="stages">')[2].partition("</table>")[0]


@pytest.mark.parametrize("before", [None, 5.0])
def test_evidence_of_a_counter_has_its_values_where_both_are_known(before):
    verdict = first_stage(stored("docker-4k")).verdict
    evidence = Evidence("overflows", 2.0, "", before=before, after=7.0)
    finding = replace(verdict.findings[0], evidence=(evidence,))

    page = render_page(with_stage(stored("docker-4k"), verdict=replace(verdict, findings=(finding,))))

    assert ("(5 → 7)" in page) == (before is not None)


FILES = ExternalFiles("/static/page.css", "/static/theme.js", "/static/page.js", "/static/charts.js")


def test_a_served_page_refers_to_its_files_and_has_no_styles_and_scripts_of_its_own():
    page = render_page(stored("app-server"), external=FILES, home=Link("/?sort=time", "All runs"))

    outline = Outline(page)
    outside = [link for link in outline.links if not link.startswith("#")]
    assert outside == [FILES.style, FILES.theme, "/?sort=time", FILES.bundle, FILES.script]
    assert "style" not in outline.tags
    assert re.findall(r"<script(?! src=| type=\"application/json\")", page) == []
    assert re.findall(r"\s(?:style|on[a-z]+)=", page.partition('id="data"')[0]) == []
    assert "All runs</a>" in page


def test_each_chart_is_shown_once_and_the_picture_of_the_verdict_first():
    page = render_page(stored("single-process"), bundle="0")

    shown = re.findall(r'id="chart-([a-z-]+)"', page)
    assert shown[0] == "why"
    assert sorted(shown) == sorted(chart.name for chart in charts(stored("single-process")))


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("quickstart", "why"), ("docker-4k", "why"), ("hop-ladder", "why"),
        ("replicas-usl", "why"),
    ],
)  # fmt: skip
def test_the_picture_follows_from_the_verdict(name, picture):
    assert re.findall(r'id="chart-([a-z-]+)"', render_page(stored(name), bundle="0"))[0] == picture


def test_what_was_ruled_out_is_said_once_for_all_stages():
    results = stored("single-process")
    for at, why in enumerate(["the host used 0.10 cores", "the host used 0.20 cores"]):
        limits = (RuledOut(Limit.MEMORY, "no process was killed"), RuledOut(Limit.HOST_CPU, why))
        verdict = replace(results.configurations[0].stages[at].verdict, ruled_out=limits)
        results = with_stage(results, (0, at), verdict=verdict)

    page = render_page(results).partition('id="definitions"')[0]

    assert page.count("Ruled out:") == 1
    assert page.count("no process was killed") == 1
    assert "the host used 0.20 cores" in page
    assert "the host used 0.10 cores" not in page


def test_without_the_extra_there_are_tables_and_sparklines_and_no_charts():
    page = render_page(stored("single-process"))

    assert 'class="chart"' not in page
    assert "▇" in page or "█" in page


DRAWN = {"capacity", "docker-4k", "hop-ladder"}
"""Runs that have every kind of chart between them; drawing takes half a second each."""


def test_runs_that_are_drawn_have_every_kind_of_chart():
    kinds = {name: {chart.name for chart in charts(stored(name))} for name in RUNS}

    assert set().union(*(kinds[name] for name in DRAWN)) == set().union(*kinds.values())


@pytest.mark.parametrize("name", RUNS)
def test_charts_of_real_runs_are_drawn_and_state_a_finding(name):
    results = stored(name)

    drawn = charts(results)

    names = {chart.name for chart in drawn}
    several = max(len(one.stages) for one in results.configurations) > 1
    searched = name in {"capacity", "replicas-usl"}
    assert names >= ({"over-time", "cpu"} if several else {"why", "over-time"})
    assert ("throughput" in names) == (several and not searched)
    assert ("latency" in names) == (several and not searched and name != "quickstart")  # which `why` shows
    assert ("capacity" in names) == searched
    assert ("configurations" in names) == (len(results.configurations) > 1)
    assert all(re.search(r"\d", chart.title) for chart in drawn), [chart.title for chart in drawn]
    pictures = draw(drawn) if name in DRAWN else {}
    assert len(pictures) == len(drawn) or name not in DRAWN
    for _, light, dark in pictures.values():
        assert light.startswith(b"<svg")
        assert light != dark


def test_failed_thresholds_stand_with_the_verdict_and_names_as_they_were_written():
    results = with_configuration(stored("app-server"), title="one_process [a]")
    results = with_stage(results, thresholds=(ThresholdResult("errors < 1%", ok=False, value=0.25),))

    page = render_page(results)

    verdict = page[page.index('id="verdict"') : page.index('id="stages"')]
    assert "<code>errors &lt; 1%</code>: failed at one_process [a], 100 RPS: 25\u00a0%" in verdict
    assert "one\\_process" not in page


def test_the_requests_of_a_mix_have_a_table_that_can_be_sorted():
    page = render_page(mixes.mix(lossy="order"))

    section = page.partition('aria-labelledby="requests"')[2].partition("</section>")[0]
    assert section.count("<tr><th") == 4 * 4
    assert '<th scope="row">order</th><td class="number" data-value="0.05">5 %</td>' in section
    assert section.count('<td class="number">no value</td>') == 4 * 3
    assert '<details class="again" open>' in section
    assert 'href="#requests"' in page


def test_a_long_table_of_requests_is_folded():
    page = render_page(mixes.mix(weights=mixes.many(40)))

    section = page.partition('aria-labelledby="requests"')[2].partition("</section>")[0]
    assert '<details class="again">' in section
    assert "160 rows" in section


def test_the_configuration_of_a_request_is_named_where_there_are_several():
    page = render_page(mixes.mix("hop-ladder", {"a": 1, "b": 1}))

    section = page.partition('aria-labelledby="requests"')[2].partition("</section>")[0]
    assert section.count('<td class="configuration">Process, kept</td>') == 2 * 2


@pytest.mark.parametrize("name", RUNS)
def test_a_run_without_a_mix_has_no_table_of_requests(name):
    assert 'id="requests"' not in render_page(stored(name))


def test_a_limit_that_was_found_is_not_listed_as_ruled_out_without_a_word():
    results = stored("hop-ladder")
    found = {stage.verdict.code.value for one in results.configurations for stage in one.stages}
    (summary,) = re.findall("<summary>Ruled out: (.*?)</summary>", render_page(results))
    everywhere, _, at_some = summary.partition("; at some stages only: ")

    assert not found & set(everywhere.split(", "))
    assert set(at_some.split(", ")) <= found
    assert "forwarder-limited" in at_some
