"""The page from stored results alone: whole, harmless, and the same each time."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from runner.report.charts.render import charts, render_svg
from runner.report.page.columns import COLUMNS
from runner.report.page.render import render_page
from runner.store.vega_cache import vega_bundle
from tests.report.test_junit import first_stage, stored

RUNS = ["app-server", "capacity", "docker-4k", "hop-ladder", "replicas-usl", "single-process"]


class Outline(HTMLParser):
    """Elements, ids and addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.text = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found[key] for key in ("href", "src", "srcset", "action") if key in found]

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


def test_every_number_has_a_definition_to_go_to():
    outline = Outline(render_page(stored("app-server")))

    assert {f"is-{column.key}" for column in COLUMNS if column.means} <= set(outline.ids)


def test_the_same_results_give_the_same_page_and_pictures():
    results = stored("single-process")

    assert render_page(results, bundle=vega_bundle()) == render_page(results, bundle=vega_bundle())
    for chart in charts(results):
        assert render_svg(chart) == render_svg(chart)


def test_text_from_outside_stays_text():
    hostile = (
        "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&{{ 7*7 }}[x](javascript:alert(1))"
    )
    results = stored("app-server")
    results["experiment"]["title"] = results["experiment"]["objective"] = hostile
    results["run"]["command"] = hostile
    results["configurations"][0]["title"] = hostile
    stage = first_stage(results)
    stage["name"] = hostile
    stage["validity"] = {"status": "invalid", "reasons": [hostile]}
    stage["verdict"]["findings"][0]["summary"] = hostile

    page = render_page(results, bundle="window.vegaEmbed = 0;")

    outline = Outline(page)
    assert "img" not in outline.tags
    assert outline.tags.count("script") == 3
    assert "49" not in re.findall(r"\{\{.*?\}\}|49(?=\[x\])", page)
    assert [link for link in outline.links if link.startswith("javascript")] == []
    assert json.loads(page.split('id="data">')[1].split("</script>")[0])["charts"]


@pytest.mark.parametrize(
    "change",
    [
        {"status": "not-run", "actual_rps": None, "achieved": None, "timeseries": []},
        {"validity": {"status": "invalid", "reasons": ["a worker died"]}},
        {"timeseries": []},
        {"distribution": [[50, 1.0], [99, 2.0]]},
    ],
)
def test_a_stage_of_which_little_is_known_has_its_row(change):
    results = stored("single-process")
    stage = first_stage(results)
    stage.update(change)
    if "status" in change:
        stage["duration_ms"] = stage["response_time_ms"] = dict.fromkeys(stage["duration_ms"])
        stage["cpu_cores"] = {}

    page = render_page(results, bundle="0")

    assert 'scope="row">100 RPS' in page
    assert len(charts(results)) >= 4


def test_without_the_extra_there_are_tables_and_curves_and_no_charts():
    page = render_page(stored("single-process"))

    assert 'class="chart"' not in page
    assert "▇" in page or "█" in page


@pytest.mark.parametrize("name", RUNS)
def test_charts_of_real_runs_are_drawn_and_say_what_was_found(name):
    results = stored(name)

    found = charts(results)

    assert {chart.name for chart in found} >= {"throughput", "latency", "cpu"}
    assert ("capacity" in {chart.name for chart in found}) == (name in {"capacity", "replicas-usl"})
    assert ("configurations" in {chart.name for chart in found}) == (len(results["configurations"]) > 1)
    for chart in found:
        light, dark = render_svg(chart)
        assert light.startswith(b"<svg")
        assert light != dark
        assert re.search(r"\d", chart.title) or chart.title.startswith("Every rate"), chart.title


def test_thresholds_that_failed_stand_with_the_verdict_and_names_as_they_were_written():
    results = stored("app-server")
    results["configurations"][0]["title"] = "one_process [a]"
    first_stage(results)["thresholds"] = [{"expr": "errors < 1%", "ok": False, "value": 0.25}]

    page = render_page(results)

    verdict = page[page.index('id="verdict"') : page.index('id="stages"')]
    assert "<code>errors &lt; 1%</code> at one_process [a], 100 RPS: 25 %" in verdict
    assert "one\\_process" not in page
