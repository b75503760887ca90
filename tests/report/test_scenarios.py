"""Scenarios in everything that a user sees: tables, sentences, the funnel, CSV, JUnit and the page."""

from __future__ import annotations

import csv
import io
import re
from functools import cache

from msgspec.structs import replace

from runner.core.facts import TrialFacts
from runner.core.ramp import Ramp
from runner.core.results import Results
from runner.publish.comment import Draft
from runner.report.charts.render import charts
from runner.report.conclusion import conclusion
from runner.report.csv_table import render_csv
from runner.report.headline import headline
from runner.report.junit import render_junit
from runner.report.markdown import render_markdown
from runner.report.page.render import render_page
from runner.report.scenario_prose import losses
from runner.report.scenario_tables import results_by_scenario, scenario_mix, scenario_outcomes, steps
from runner.report.summary import summary_rows
from runner.store.results_file import encode_results, parse_results
from tests.analyze.facts import results_of
from tests.analyze.scenario_facts import SPEC, scenario_trial, users
from tests.report.test_request_tables import rows

CLOSED = SPEC.replace(b"users_per_s: 20", b"users: 30")
RAMP = SPEC.replace(b"users_per_s: 20", b"users_per_s: {from: 1, to: 20}")


def results(trial: TrialFacts | None = None, spec: bytes = SPEC) -> Results:
    trial = trial or scenario_trial(users(fails=lambda k: "cart" if k % 8 == 0 else ""))
    return results_of(replace(trial, order=0), spec=spec)


@cache
def lossy() -> Results:
    """An eighth of all users, a sixth of those who check out, fail in the cart."""
    return results()


@cache
def report() -> str:
    return render_markdown(lossy())


def stages(made: Results):
    return made.configurations[0].stages


def closed_trial() -> TrialFacts:
    return scenario_trial(users(), stage="30 users", users=30, users_per_s=None)


def test_results_with_scenarios_are_stored_and_read_without_loss(tmp_path):
    text = encode_results(lossy())

    assert parse_results(text, tmp_path / "results.json") == lossy()


def test_the_steps_of_a_scenario_stand_in_their_order_with_the_users_lost_there():
    checkout, visit = steps(stages(lossy()))

    assert [row[:4] for row in rows(checkout.table)] == [
        ["`login`", "150", "0", "0 %"],
        ["`cart`", "150", "**25**", "16.7 %"],
        ["`pay`", "125", "0", "0 %"],
    ]
    assert [row[-1] for row in rows(checkout.table)] == ["9.4 %", "11.8 %", "78.7 %"]
    assert rows(visit.table)[0][:2] == ["`home`", "50"]


def test_each_scenario_has_a_row_and_all_of_them_together():
    table = results_by_scenario(stages(lossy()))

    assert [row[0] for row in rows(table)] == ["`checkout`", "`visit`", "**all scenarios**"]
    assert rows(table)[0][1:5] == ["15", "11", "83.3 %", "**25** (16.7 %)"]
    assert rows(table)[0][7] == "no value"
    assert "Target RPS" not in table


def test_the_report_says_who_was_lost_where_and_what_took_the_time():
    text = report()

    assert "the service sustained 87.5 % of the users who were due" in text
    assert "25 failed at `checkout/cart`" in text
    assert "`pay` took 78.7 % of the time of all requests of `checkout`" in text
    assert "**Users/s**: Users who start a scenario per second." in text
    assert "not measured RPS" not in text
    assert "compare the response with extract in load.scenarios\\[checkout\\]\\[cart\\]" in text


def test_a_step_at_which_users_were_only_cut_off_is_not_where_users_failed():
    made = results(scenario_trial(users(fails=lambda k: "cart" if k % 8 == 0 else "")))
    stage = stages(made)[0]
    step = stage.parts["checkout/pay"]
    cut_off = replace(step.requests, failed=999, failures={"timeout": 999})
    parts = {**stage.parts, "checkout/pay": replace(step, requests=cut_off)}

    assert "25 failed at `checkout/cart`" in str(losses(replace(stage, parts=parts)))


def test_every_run_is_in_exactly_one_column_of_the_outcomes():
    table = scenario_outcomes(lossy().configurations)

    head = [cell.strip() for cell in table.splitlines()[0].strip("|").split("|")]
    assert head[2:] == ["due", "started", "completed", "extract\\_failed", "unfinished", "dropped"]
    for row in rows(table):
        due, started, *ended, dropped = [int(cell.strip("*")) for cell in row[2:]]
        assert due == started + dropped
        assert started == sum(ended)


def test_a_number_that_is_1_stands_before_the_singular():
    made = users(fails=lambda k: "pay" if k == 8 else "cart" if k % 8 == 0 else "")

    text = render_markdown(results(scenario_trial(made)))

    assert "request checkout/cart 24 requests; request checkout/pay 1 request." in text


def test_a_ramp_of_users_has_no_response_time_although_requests_failed():
    made = users(fails=lambda k: "cart" if k % 8 == 0 else "")
    trial = scenario_trial(made, stage="1 to 30 users", users=Ramp(1, 30), users_per_s=None)
    found = results(trial, SPEC.replace(b"users_per_s: 20", b"users: {from: 1, to: 30}"))

    text = render_markdown(found)

    assert stages(found)[0].slices
    assert "p95 Duration (ms)" in text
    assert "p95 Response Time (ms)" not in text


def test_the_conclusion_names_the_rate_of_users():
    whole = results(scenario_trial(users()))

    assert "**20 users/s** with a p95 scenario duration of 1,250 ms" in conclusion(whole.configurations)
    assert "The highest throughput is **16" in conclusion(lossy().configurations)


def test_users_who_were_cut_off_are_explained():
    made = scenario_trial(users(window_s=60, pause_s=20.0, timeout_s=10), window_s=60.0)
    whole = SPEC.replace(b"duration: 10s", b"duration: 60s")
    spec, _, _ = whole.partition(b"thresholds:")

    text = render_markdown(results(made, spec))

    assert "20 users/s is not sustained: 2 of 4 thresholds failed" in render_markdown(results(made, whole))
    assert "153 users were still under way 10 s (the timeout) after the window" in text
    comment = Draft(results(made, spec)).render(10_000)
    assert "153 users were still under way" in comment.partition("<details>")[0]
    assert "users/s, but 12.8 % of the users were still under way when the stage ended; no limit was" in text
    assert "The service kept up with the offered rate of 20 users/s." in text


def test_a_stage_that_is_too_short_for_its_pauses_is_not_blamed_on_the_service():
    made = results(scenario_trial(users(window_s=10, pause_s=30.0, timeout_s=10)))
    finding = stages(made)[0].verdict.findings[0]

    assert stages(made)[0].only_unfinished
    assert finding.summary.endswith(
        "of the users due were served, the others were still under way when the stage ended"
    )
    assert "the other users were still under way when the stage ended" in headline(made).sentence


def test_a_number_of_users_and_a_ramp_of_them_are_told_apart():
    closed = render_markdown(results(closed_trial(), CLOSED))
    made = scenario_trial(users(1, 10, rate_to=20), Ramp(1, 20))
    ramp = render_markdown(results(made, RAMP))

    assert "With 30 users, the throughput was" in closed
    assert "When a user has ended, another one begins" in closed
    assert "In the ramp from 1 to 20 users/s, the service sustained all of the 105 users who were due" in ramp
    assert "| Users/s" in ramp
    assert "RPS |" in ramp


def test_the_funnel_names_the_step_that_loses_most_users():
    (funnel,) = [chart for chart in charts(lossy()) if chart.name == "scenarios"]

    assert funnel.title == "checkout loses most users at cart: 16.7 % of those who started"
    drawn = [row for row in funnel.spec["data"]["values"] if row["panel"] == "checkout"]
    left = [(row["step"], row["users"]) for row in drawn if row["series"].startswith("still")]
    assert left == [("login", 150), ("cart", 125), ("pay", 125)]
    lost = [(row["users"], row["begin"], row["end"]) for row in drawn if row["series"].startswith("lost")]
    assert lost == [(0, 150, 150), (25, 125, 150), (0, 125, 125)]
    assert "facet" not in funnel.spec


def test_the_chart_of_a_ramp_draws_the_quantity_that_its_title_is_about():
    spec = RAMP.replace(b"scenario_errors < 1%", b"scenario_errors == 0%\n  - scenario_duration.p95 < 3s")
    made = users(1, rate_to=20, fails=lambda k: "cart" if k > 50 else "")
    (drawn,) = [
        one for one in charts(results(scenario_trial(made, Ramp(1, 20)), spec)) if one.name == "ramps"
    ]

    assert drawn.title.startswith("The p95 scenario duration of checkout exceeded 3,000 ms")
    assert drawn.subtitle.startswith("Scenario duration of checkout of each slice in ms")
    (bound,) = [row["ms"] for row in drawn.spec["data"]["values"] if row["kind"] == "bound"]
    assert bound == 3000


def test_the_throughput_of_scenarios_is_drawn_beside_the_users_who_were_due():
    (drawn,) = [one for one in charts(lossy()) if one.name == "throughput"]

    assert drawn.subtitle == "Bars: completed scenarios/s; lines: users/s due"
    (row,) = drawn.spec["data"]["values"]
    assert row["target"] == 20
    assert row["actual"] == stages(lossy())[0].scenarios_per_s


def test_runs_without_scenarios_have_no_funnel_and_no_column_of_scenarios():
    from tests.report.stored_results import stored

    other = stored("single-process")
    assert "scenarios" not in {chart.name for chart in charts(other)}
    assert not any("scenario" in key for key in summary_rows(other)[0])
    assert "scenario" not in render_csv(other).splitlines()[0]
    assert "cenario" not in render_page(other)


def test_csv_and_junit_have_each_scenario_and_each_step():
    table = list(csv.DictReader(io.StringIO(render_csv(lossy()))))

    assert [row["request"] for row in table][:3] == ["", "checkout", "checkout/login"]
    whole, checkout, login = table[:3]
    assert (whole["users_per_s"], checkout["users_per_s"], whole["target_rps"]) == ("20", "15", "")
    assert (checkout["scenarios_scheduled"], checkout["scenarios_failed"]) == ("150", "25")
    assert (login["users_per_s"], login["scenarios_scheduled"], login["scheduled"]) == ("", "", "150")
    junit = render_junit(lossy())
    assert "Users/s: 20" in junit
    assert "checkout: Scenarios/s 11, Scenarios Not Completed 16.7 %" in junit


def test_the_terminal_shows_scenarios_first():
    (row,) = summary_rows(lossy())

    assert list(row)[:4] == ["stage", "scenarios/s", "scenario p95 ms", "users lost"]
    assert (row["users lost"], row["scenario p95 ms"]) == ("25", "failed")


def test_what_was_sent_is_in_the_appendix():
    table = rows(scenario_mix(lossy().configurations[0].load))

    assert table[0] == ["`checkout`", "75 %", "`login`", "POST", "`/login`"]
    assert [row[2] for row in table] == ["`login`", "`cart`", "`pay`", "`home`"]


def test_the_page_has_the_scenarios_of_each_stage():
    page = render_page(lossy())

    assert "Scenarios/s" in page
    assert "Each step of the scenarios" in page
    assert "checkout/pay" in page


def test_the_page_has_a_table_of_scenarios_with_the_funnel_beside_it():
    page = render_page(lossy(), bundle="vegaEmbed")
    section = page.partition('<h2 id="scenarios">')[2].partition("</section>")[0]
    cells = [re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", row) for row in section.split("<tr>")[2:]]

    assert [row[:5] for row in cells] == [
        ["20 users/s", "checkout", "15", "11", "83.3 %"],
        ["20 users/s", "visit", "5", "5", "100 %"],
        ["20 users/s", "all scenarios", "20", "16", "87.5 %"],
    ]
    assert 'id="chart-scenarios"' in section
    assert page.count('id="chart-scenarios"') == 1


def test_a_latency_of_a_ramp_refers_to_its_slices_only_where_they_have_a_column_for_it():
    ramp = Ramp(1, 20)
    made = results(scenario_trial(users(1, rate_to=20), ramp), RAMP)
    (table,) = (section.table for section in steps(stages(made)) if "pay" in str(section.table))
    pay = next(row for row in rows(table) if row[0] == "`pay`")

    assert pay[4:7] == ["–", "see its slices", "–"]


def test_a_threshold_that_a_ramp_of_users_passes_is_worded_plainly():
    spec = RAMP.replace(b"scenario_errors < 1%", b"scenario_errors == 0%\n  - scenario_duration.p95 < 3s")
    made = users(1, rate_to=20, fails=lambda k: "cart" if k > 50 else "")
    text = render_markdown(results(scenario_trial(made, Ramp(1, 20)), spec))

    assert re.search(
        r"The share of scenarios that did not complete was not 0 % at .* users/s, but 6.7 %", text
    )
    assert re.search(r"exceeded 3,000 ms at [0-9.]+ users/s, because 6.7 % failed", text)


def test_what_was_lost_says_of_what_and_is_one_number_in_all_places():
    head, text = headline(lossy()), render_markdown(lossy())

    assert (head.errors_title, head.errors_text) == ("Scenarios not completed", "12.5 %")
    assert "12.5 % of the scenarios do not complete with extract_failed" in head.sentence
    assert "| **Requests Failed or Dropped** " in text
    assert "| **Failed or Dropped** " not in text


def test_a_list_shows_no_latency_of_a_ramp_that_its_report_has_in_slices_only():
    made = results(scenario_trial(users(1, 10, rate_to=20), Ramp(1, 20)), RAMP)

    head = headline(made)

    assert head.stage.scenario_duration_ms.p95 is not None
    assert (head.p95_ms, head.p95_text) == (None, "see its slices")
