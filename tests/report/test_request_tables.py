"""The results of a mix in the report: a table for each configuration, with the numbers of each request."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from runner.core.codes import StageStatus
from runner.core.load_facts import ResponseSample
from runner.core.load_results import SentVariable
from runner.core.ramp import Ramp
from runner.report.markdown import render_markdown
from runner.report.request_tables import failures_by_request, mix, results_by_request
from runner.report.response_tables import failed_responses
from tests.report import mixes
from tests.report.stored_results import stored


def stages(results):
    return results.configurations[0].stages


def rows(table):
    """The cells of each row below the heading."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_each_request_of_each_stage_has_a_row_with_its_own_numbers_and_the_whole_follows():
    results = mixes.mix()

    table = rows(results_by_request(stages(results)))

    assert [row[:3] for row in table[:5]] == [
        ["100 RPS", "`search`", "60 %"],
        ["100 RPS", "`view`", "25 %"],
        ["100 RPS", "`add-to-cart`", "10 %"],
        ["100 RPS", "`order`", "5 %"],
        ["100 RPS", "**all requests**", "100 %"],
    ]
    assert table[3] == [
        "100 RPS", "`order`", "5 %", "5", "5", "100 %", "0", "3.18", "3.87", "5.69", "5.41"
    ]  # fmt: skip
    assert len(table) == 4 * 5


def test_a_single_stage_needs_no_column_for_its_name():
    table = results_by_request(stages(mixes.mix())[:1])

    assert table.splitlines()[0].split("|")[1].strip() == "Request"


def test_a_percentile_among_lost_requests_has_no_value_and_the_losses_beside_it():
    results = mixes.mix(lossy="order")

    order = next(row for row in rows(results_by_request(stages(results))) if row[1] == "`order`")

    assert order[6:11] == ["**20** (20 %)", "3.18", "no value", "no value", "no value"]


def test_only_requests_that_were_lost_are_listed_by_kind_of_failure():
    results = mixes.mix(lossy="order")

    table = failures_by_request(stages(results))

    heading = [cell.strip() for cell in table.splitlines()[0].strip("|").split("|")]
    assert heading == ["Stage", "Request", "scheduled", "succeeded", "bad\\_status", "timeout", "dropped"]
    assert rows(table)[0] == ["100 RPS", "`order`", "100", "80", "9", "1", "10"]
    assert {row[1] for row in rows(table)} == {"`order`"}


@pytest.mark.parametrize("name", ["single-process", "hop-ladder", "capacity"])
def test_a_run_without_a_mix_has_no_tables_of_requests(name):
    text = render_markdown(stored(name))

    assert "by Request" not in text
    assert "Request Mix" not in text
    assert not any(mix(configuration.load) for configuration in stored(name).configurations)


@pytest.mark.parametrize("number", [1, 3, 40])
def test_every_request_is_in_the_report_however_many_there_are(number):
    text = render_markdown(mixes.mix(weights=mixes.many(number)))

    section = text.partition("### Results by Request")[2].partition("###")[0]
    assert section.count("| `request-") == 4 * number
    assert section.count("**all requests**") == 4
    assert text.partition("### Request Mix")[2].partition("###")[0].count("| GET ") == number
    assert f"a mix of {number} request{'s' if number > 1 else ''}." in text
    assert "\n\n\n" not in text


def test_variables_are_listed_and_hostile_names_of_files_are_harmless():
    results = mixes.mix()
    shown = results.configurations[0]
    rows = SentVariable("p", "csv", source="a|b`<i>.csv", order="once", rows=1_234_567)
    sent = replace(shown.load, variables=(rows, SentVariable("t", "env"), SentVariable("n", "int")))
    text = render_markdown(replace(results, configurations=(replace(shown, load=sent),)))

    lines = text.partition("### Variables")[2].partition("###")[0].strip().splitlines()
    assert [re.split(r" *(?<!\\)\| *", line)[1:-1] for line in lines[4:]] == [
        ["`p`", "csv ``a\\|b`<i>.csv``", "once", "1,234,567"],
        ["`t`", "a secret", "", ""],
        ["`n`", "int", "", ""],
    ]


def test_every_row_of_every_table_has_as_many_cells():
    text = render_markdown(mixes.mix("hop-ladder", lossy="view"))

    for block in re.findall(r"(?:^\|.*\n?)+", text, flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.strip().splitlines()}) == 1, block


def test_a_stage_that_was_not_run_has_no_rows():
    results = mixes.mix()
    last = replace(stages(results)[3], status=StageStatus.NOT_RUN, parts={}, achieved=None, actual_rps=None)

    table = results_by_request([*stages(results)[:3], last])

    assert "10,000 RPS" not in table


def test_the_analysis_names_the_slowest_request_and_the_one_that_lost_most():
    text = render_markdown(mixes.mix(lossy="view"))

    assert (
        "Of the 3 requests with a finite p95 at 10,000 RPS, `order` was the slowest with a p95 duration of "
        "1,414 ms, and `search` was the fastest with 354 ms. At 10,000 RPS, 20 % of `view` failed or were "
        "dropped."
    ) in text


def test_the_analysis_does_not_rank_a_single_request():
    text = render_markdown(mixes.mix(weights={"only": 1}))

    assert "was the slowest" not in text


def test_a_failed_response_is_shown_with_its_request():
    results = mixes.mix(lossy="order")
    whole = stages(results)[0]
    order = whole.parts["order"]
    statuses = replace(order.requests, statuses={"503": 7, "404": 2})
    sample = ResponseSample("bad_status", 503, body="no stock")
    changed = replace(
        whole, parts=whole.parts | {"order": replace(order, requests=statuses, samples=(sample,))}
    )

    table = rows(failed_responses([changed]))

    assert [row[:5] for row in table] == [
        ["100 RPS", "`order`", "503", "7", "`body: no stock`"],
        ["100 RPS", "`order`", "404", "2", "–"],
    ]


def test_each_request_of_a_ramp_has_its_own_share_of_both_rates():
    ramps = [replace(stage, ramp=Ramp(20.0, 180.0), target_rps=100.0) for stage in stages(mixes.mix())[:1]]

    table = rows(results_by_request(ramps))

    assert [row[2] for row in table] == ["12 to 108", "5 to 45", "2 to 18", "1 to 9", "20 to 180"]
