"""The report as people read it: golden copies, its shape, and text from outside.

UPDATE_GOLDEN=1 pytest tests/report   updates the copies; read the difference before you keep it.
"""

import functools
import os
import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from runner.analyze.usl import Law
from runner.core.facts import Event
from runner.core.load_facts import LoadSecond, ResponseSample
from runner.core.results import Results
from runner.core.system_facts import SystemDescription
from runner.report.markdown import render_markdown
from runner.report.summary import summary_rows
from tests.analyze import node_facts, searches
from tests.analyze.facts import BUSY, DIED, HEALTHY, OVERLOADED, RUN, SPEC, load, results_of

GOLDEN = Path(__file__).parent / "golden"
EXTERNAL = b"""
version: 1
name: shop
title: Somebody's Shop
topology: {kind: external, url: "http://127.0.0.1:8080"}
stages: [{rps: 100, duration: 4s}]
"""
UNWATCHED = replace(
    HEALTHY,
    observed=replace(
        HEALTHY.observed,
        subjects=tuple(subject for subject in HEALTHY.observed.subjects if subject.name != "app"),
    ),
    topology=SystemDescription(kind="external", url="http://127.0.0.1:8080"),
)
CASES = {
    "three-rates": lambda: results_of(HEALTHY, BUSY, OVERLOADED),
    "app-died": lambda: results_of(HEALTHY, BUSY, DIED),
    "aborted": lambda: results_of(
        HEALTHY, replace(BUSY, status="aborted"), run=replace(RUN, status="aborted", signal="SIGINT")
    ),
    "external": lambda: results_of(UNWATCHED, spec=EXTERNAL),
    "replicas": lambda: searches.scaled(
        Law(800, 0.1, 0.05), searches.REPLICATED + b"matrix: {topology.replicas: [1, 2, 4]}"
    ),
    "nodes": lambda: results_of(node_facts.CALM, node_facts.SHORT, spec=node_facts.SPEC),
    "generator-lost": lambda: results_of(node_facts.CALM, node_facts.LOST, spec=node_facts.SPEC),
    "search": lambda: results_of(*searches.search(1500), spec=searches.SPEC),
}


@functools.cache
def case(name: str) -> Results:
    """Return the results of a case: made when a test asks, as every process of the tests reads this file."""
    return CASES[name]()


@pytest.mark.parametrize("name", CASES)
def test_the_report_is_the_golden_one(name):
    text = render_markdown(case(name))
    path = GOLDEN / f"{name}.md"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)

    assert text == path.read_text()


@pytest.mark.parametrize("name", CASES)
def test_every_table_has_as_many_cells_in_every_row(name):
    for block in re.findall(r"(?:^\|.*\n?)+", render_markdown(case(name)), flags=re.MULTILINE):
        cells = [len(re.findall(r"(?<!\\)\|", line)) for line in block.strip().splitlines()]
        assert len(set(cells)) == 1, block


@pytest.mark.parametrize("name", CASES)
def test_blocks_are_one_empty_line_apart(name):
    text = render_markdown(case(name))

    assert "\n\n\n" not in text
    assert re.search(r"[^\n]\n#", text) is None


def test_the_shape_is_that_of_the_report_that_started_the_project():
    headings = re.findall(r"^#+ .*", render_markdown(case("three-rates")), flags=re.MULTILINE)

    assert headings[:8] == [
        "# The Shop",
        "## 1. Objective",
        "## 2. Shop Test Results",
        "### Detailed Test Results",
        "### Thresholds",
        "### Components",
        "### Analysis",
        "## 3. Final Analysis",
    ]
    assert headings[8] == "### Conclusion"


def test_what_was_not_measured_is_never_a_zero():
    text = render_markdown(case("external"))

    assert re.search(r"\*\*Avg App CPU \(cores\)\*\* +\| +not measured", text)
    assert "The CPU usage of the service was not measured." in text


def refused(statuses, *samples, **changes):
    """A trial in which no response was accepted."""
    failed = sum(statuses.values())
    second = LoadSecond(
        0, failed, failed, failures={"bad_status": failed}, statuses=statuses, samples=samples
    )
    return replace(HEALTHY, load=replace(HEALTHY.load, seconds=(second,)), **changes)


def failed_responses(facts) -> list[list[str]]:
    """The cells of the table of failed responses."""
    text = render_markdown(results_of(facts))
    _, _, after = text.partition("### Failed Responses\n\n")
    rows = [line for line in after.partition("\n\n")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in rows[2:]]


def test_failed_responses_are_listed_by_status_with_an_example_and_advice():
    redirect = ResponseSample("bad_status", 302, (("location", "/login"),), "moved")
    facts = refused({500: 40, 302: 60}, redirect, app_output=("no such table",))

    (first, second) = failed_responses(facts)
    assert first[:4] == ["100 RPS", "302", "60", "`location: /login; body: moved`"]
    assert first[4].endswith("(Location: /login)")
    assert second[:4] == ["100 RPS", "500", "40", "–"]
    assert second[4].endswith("the app's last output: no such table")


def test_only_the_most_frequent_statuses_are_listed():
    rows = failed_responses(refused({status: status for status in range(400, 420)}))

    assert [row[1] for row in rows] == [*map(str, range(419, 411, -1)), "12 more"]
    assert rows[-1][2] == f"{sum(range(400, 412)):,}"


def test_other_failures_are_listed_if_there_is_a_response():
    facts = refused({302: 1}, ResponseSample("bad_body", 200, (), "down for maintenance"))

    assert failed_responses(facts)[1][1:5] == ["`bad_body`", "0", "`body: down for maintenance`", "–"]


def test_a_response_that_did_not_pass_its_checks_is_listed_with_them():
    check = "$.total is 30; expect.json requires it to be at least 31"
    facts = refused({302: 1}, ResponseSample("bad_body", 200, (), '{"total": 30}', check))

    assert failed_responses(facts)[1][1:5] == [
        "`bad_body`",
        "0",
        '`body: {"total": 30}`',
        check.replace("$", "\\$"),
    ]


def test_a_report_without_failed_responses_has_no_such_table():
    assert "Failed Responses" not in render_markdown(results_of(HEALTHY))


HOSTILE = "<script>alert(1)</script> | `code` \n# heading @everyone ```"


def test_text_from_outside_stays_text():
    spec = SPEC.replace(b"title: The Shop", b'title: "<b>x</b> | `y` @all"').replace(
        b"objective: Find where one process stops.", b'objective: "# not a heading\\n\\n<img src=x>"'
    )
    facts = replace(
        DIED,
        events=(Event("app-died", HOSTILE, log=("```", "# still a log line")),),
        load=load(4000, 1500, 330.0, notes=(HOSTILE,)),
    )
    text = render_markdown(results_of(facts, spec=spec))
    outside = re.sub(r"^(`{3,})text\n.*?\n\1$", "", text, flags=re.MULTILINE | re.DOTALL)

    assert "<script" not in outside.replace("\\<", "")
    assert "<img" not in outside.replace("\\<", "")
    assert not re.search(r"^# (not a|heading|still)", outside, flags=re.MULTILINE)
    assert "@all" not in outside.replace("\\@", "")


def test_the_terminals_summary_has_a_row_a_stage():
    rows = summary_rows(case("app-died"))

    assert [row["stage"] for row in rows] == ["100 RPS", "1,000 RPS", "4,000 RPS"]
    assert rows[2]["verdict"] == "failed"
