"""The page of a run in progress in a real browser, from its first second to the report."""

from __future__ import annotations

import json
import random
import re
import signal
import time

import pytest
from msgspec.structs import replace
from playwright.sync_api import sync_playwright

from runner.cli.live_page import live_page
from runner.core.live import LoadEnds, Note, PlannedTrial, RunEnds, Second, TrialEnds
from runner.core.live_ends import P95
from runner.report import number_format
from runner.store.live_file import LiveFile
from tests.cli.conftest import Cli
from tests.cli.test_execute import results_of, wait_for
from tests.publish.node_tools import node_tools
from tests.report.page.test_browser import ARGUMENTS
from tests.serve.live.records import beginning, probes, second, stage_of, trial

pytestmark = pytest.mark.browser
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def visit(browser):
    """Opens addresses; nothing may be written to the console, and nothing requested from elsewhere."""
    contexts, messages, requests = [], [], []

    def go(address, **how):
        context = browser.new_context(bypass_csp=True, **how)  # of the tests' own scripts, such as axe
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        return page

    yield go
    for context in contexts:
        context.close()
    assert [
        text for text in messages if "ERR_" not in text
    ] == []  # a server that has ended refuses to connect
    assert all(re.match(r"http://127\.0\.0\.1:|data:", url) for url in requests)


def serious(page, scheme):
    """What axe finds: in light colours by all rules, in dark ones by the rule that these can break."""
    axe = node_tools() / "node_modules" / "axe-core" / "axe.min.js"
    page.evaluate(axe.read_text(encoding="utf-8"))
    how = {"resultTypes": ["violations"]} | ({"runOnly": ["color-contrast"]} if scheme == "dark" else {})
    result = page.evaluate("(how) => axe.run(how)", how)
    found = [rule for rule in result["violations"] if rule["impact"] in {"serious", "critical"}]
    return json.dumps([(rule["id"], rule["nodes"][0]["html"]) for rule in found], indent=1)


def address_in(process, label):
    for line in process.stderr:
        if label in line:
            return line.split(label)[1].strip()
    raise AssertionError("the address was not printed")


@pytest.fixture
def shown(tmp_path):
    with live_page(tmp_path / "run", 0) as page:
        (tmp_path / "run").mkdir()
        yield page, LiveFile(tmp_path / "run")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_stage_and_a_search_are_drawn_accessibly_at_any_width(shown, visit, scheme):
    served, tell = shown
    for record in [beginning(), *stage_of(1, 60)]:
        tell(record)
    page = visit(served.url, color_scheme=scheme, viewport={"width": 1400, "height": 900})
    page.wait_for_selector("#latencies path", state="attached")

    assert page.locator("h1").inner_text() == "<b>shop</b>"
    assert page.locator("#part-rows tr").count() == 2
    assert page.locator("#trial-rows tr").first.inner_text().endswith("60")
    assert serious(page, scheme) == "[]"
    for record in probes():
        tell(record)
    page.wait_for_selector("#probe-rows tr:nth-child(4)")

    marks = page.locator("#probes .mark").evaluate_all("all => all.map((mark) => mark.firstChild.data)")
    assert marks == ["●", "✕", "○", "○"]
    assert page.locator("#trial-rows tr").count() == 2
    assert "under way, 4 of at most 6 rates" in page.locator("#trial-rows").inner_text()
    assert "p95 was 90 ms" in page.locator("#probe-rows").inner_text()
    assert serious(page, scheme) == "[]"
    for width in (800, 360):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(f"document.documentElement.scrollWidth <= {width}")


def test_a_counter_experiment_says_what_it_tests_and_what_its_blocks_achieved(shown, visit):
    served, tell = shown
    planned = PlannedTrial(1, "one", "100 RPS", "100 RPS", 0.0, 60.0)
    blocks = [PlannedTrial(number, "one", "100 RPS", "134 RPS", 0.0, 3.0) for number in (2, 3)]
    tell(replace(beginning(), trials=(planned, *blocks), total=3))
    for number, is_changed, rps in ((2, False, 62.3), (3, True, None)):
        tell(replace(trial(number), change="doubling the CPU limit", is_changed=is_changed, proves=1))
        tell(second(1))
        if rps:
            tell(TrialEnds(time.time(), number, "complete", rps=rps))
    page = visit(served.url)
    page.wait_for_selector("#proof:not([hidden])")

    assert page.locator("#proof").inner_text() == (
        "Counter-experiment: is the limit at 100 RPS lifted by doubling the CPU limit? 134 RPS are offered "
        "in turn to the system as specified and with that change; this block has the change. Responses per "
        "second so far: as specified 62.3."
    )
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert serious(page, scheme) == "[]"
    at = page.locator("#rates text").all_text_contents()
    assert [text for text in at if re.fullmatch(r"\d\d:\d\d:\d\d", text)], at


def test_the_charts_of_a_stage_that_has_ended_are_a_key_away(shown, visit):
    served, tell = shown
    for record in [beginning(), *stage_of(1, 60), trial(2, "find 100 RPS", search=True)]:
        tell(record)
    page = visit(served.url)
    page.wait_for_selector("#trial-rows button")
    page.locator("#trial-rows button").first.focus()

    page.keyboard.press("Enter")

    page.wait_for_selector("#follow:not([hidden])")
    assert page.locator("#title").inner_text().startswith("1 of 7")
    page.locator("#follow").press("Enter")
    page.wait_for_selector("#follow[hidden]", state="attached")
    assert page.locator("#title").inner_text().startswith("2 of 7")


def test_between_stages_the_run_is_in_progress_and_an_ended_stage_has_the_numbers_of_its_report(shown, visit):
    served, tell = shown
    ends = TrialEnds(1.0, 1, "complete", 1000, 9000, 792.5, P95(why_none="lost"), failures={"dropped": 9000})
    for record in [beginning(), trial(), Second(1.0, 1.0, 436.0, 400.0), ends]:
        tell(record)
    page = visit(served.url)
    page.wait_for_selector("#trial-rows .failed-mark")

    def shows(element):
        return page.locator(f"#{element}").inner_text()

    assert shows("left") == "this stage has ended: the next step is prepared"
    assert page.title() == f"<b>shop</b>: {shows('left')}"
    assert (shows("rate"), shows("p95"), shows("errors")) == ("792 /s", "no value", "90 %")
    assert "not measured by this engine" in page.locator("#flight").text_content()
    assert page.locator("#trial-rows tr").first.inner_text().split("\t")[3:] == [
        "done",
        "792",
        "no value",
        "9,000",
    ]
    tell(LoadEnds(2.0))
    page.wait_for_function("document.getElementById('state').textContent === 'writing the report'")
    assert "writing the report" in shows("left")


def test_a_run_that_fails_before_its_first_stage_shows_what_it_did_and_why_it_failed(shown, visit):
    served, tell = shown
    for record in [beginning(), Note(1.0, "building web")]:
        tell(record)
    page = visit(served.url)
    page.wait_for_selector("#trial-rows tr")

    def shows(element):
        return page.locator(f"#{element}").inner_text()

    assert not page.locator("#charts").is_visible()
    assert (shows("title"), shows("left")) == ("Waiting for the first stage", "building web")
    tell(RunEnds(2.0, "failed", "a request failed its check\n  GET /a: the status is 503\nread its log"))
    page.wait_for_selector("#failed:not([hidden])")
    assert "the status is 503\nread its log" in page.locator("#failed").inner_text()
    assert shows("title") == "No stage was begun"
    assert "not run" in page.locator("#trial-rows tr").first.inner_text()


def test_a_page_whose_server_has_ended_says_where_the_report_is(shown, visit, tmp_path):
    served, _ = shown
    page = visit(served.url)
    told = 'event: state\ndata: {"state": "ended", "report": "/run/1"}\n\n'
    page.route("**/live-events/**", lambda route: route.fulfill(content_type="text/event-stream", body=told))
    page.route("**/run/1", lambda route: route.abort())

    page.reload()

    page.wait_for_selector("#report-file:not([hidden])")
    assert page.locator("#report-file code").inner_text() == str(tmp_path / "run" / "report.html")
    assert not page.locator("#to-report").is_visible()


def test_numbers_are_written_as_the_report_writes_them(shown, visit):
    served, tell = shown
    tell(beginning())
    page = visit(served.url)
    ties = [0.0, 0.0125, 0.25, 0.5, 1.5, 2.5, 99.95, 99.96, 99.996, 1.005, 0.125, 792.5, 791.5, 12345.5]
    values = ties + [random.Random(1).uniform(0, 10**power) for power in range(-3, 6) for _ in range(40)]

    written = page.evaluate(
        "values => values.map((value) => ['rate', 'cores'].map((form) => LiveNumbers[form](value)).concat("
        "LiveNumbers.ms(value), LiveNumbers.share(value, 100)))",
        values,
    )

    for value, forms in zip(values, written, strict=True):
        form = number_format
        assert forms == [
            form.rate(value),
            form.cores(value),
            f"{form.ms(value)} ms",
            form.share(value / 100),
        ], value


def test_a_long_run_does_not_grow_in_the_browser(shown, visit):
    served, tell = shown
    for record in [beginning(), *stage_of(1, 7200)]:
        tell(record)
    page = visit(served.url)
    page.wait_for_selector("#latencies path", state="attached")

    length = page.locator("#latencies path").first.evaluate(
        "path => path.getAttribute('d').split('L').length"
    )

    assert length <= 400
    assert page.evaluate("document.querySelectorAll('*').length") < 1000


@pytest.fixture
def run_cli(tmp_path):
    command = Cli(tmp_path)
    command.pictures = True
    return command


def test_the_page_of_a_real_run_becomes_its_report(run_cli, visit):
    spec = run_cli.write(stages=[{"rps": 50, "duration": "6s"}])
    process = run_cli.start("execute", spec, "--live", "--quiet", "--out", "reports/tiny/1")
    address = address_in(process, "live page: ")

    page = visit(address)
    page.wait_for_selector("#rates path", state="attached")
    page.wait_for_selector("#ended:not([hidden])")
    assert page.locator("#announcement").inner_text() == "The run has ended. Its report opens now."
    page.wait_for_url("**/run/tiny/1")

    assert page.locator("h1").first.inner_text()
    assert process.wait(timeout=60) == 0
    process.communicate()
    page.wait_for_selector(".chart svg", state="attached")  # the page has all that it needs
    assert page.evaluate("performance.getEntriesByType('resource').length") == 0
    assert "To open it again: runner serve " in page.locator("header.top").inner_text()
    stage = results_of(run_cli.folder / "reports" / "tiny" / "1")["configurations"][0]["stages"][0]
    assert {"runner", "runner-2"} <= set(stage["cpu_cores_by_subject"])
    of_page = stage["cpu_cores_by_subject"]["runner-2"]
    assert of_page["role"] == "runner"
    assert stage["cpu_cores"]["runner"]["avg"] > of_page["cpu"]["avg"]


def test_a_run_that_another_server_shows_and_that_is_killed_says_how_to_go_on(run_cli, visit):
    spec = run_cli.write(stages=[{"rps": 20, "duration": "60s"}])
    run = run_cli.start("execute", spec, "--out", "reports/tiny/1")
    wait_for(run, "offering")
    server = run_cli.popen(["serve", "reports", "--port", "0"], stdout=-1, stderr=-1, text=True)
    try:
        address = server.stdout.readline().strip()
        page = visit(f"{address}run/tiny/1")  # leads to the page of the run in progress
        page.wait_for_selector("#rates path", state="attached")

        run.send_signal(signal.SIGKILL)
        page.wait_for_selector("#died:not([hidden])")

        assert "runner execute --resume reports/tiny/1" in page.locator("#died pre").inner_text()
        assert page.locator("#state").inner_text() == "interrupted"
        assert page.locator("#left").inner_text().startswith("interrupted after ")
        assert page.locator("#all-left").inner_text() == ""
    finally:
        run.kill()
        run.communicate()
        server.terminate()
        server.communicate(timeout=60)


def test_a_port_that_is_taken_is_said_before_the_load(run_cli, shown):
    served, _ = shown
    port = served.url.split(":")[2].split("/")[0]

    done = run_cli("execute", run_cli.write(), "--live-port", port, "--out", "other")

    assert done.returncode == 3
    assert f"port {port} of 127.0.0.1 is in use" in done.stderr
    assert "choose another port with --live-port" in done.stderr
    assert "starting the process stack" not in done.stderr
    assert not (run_cli.folder / "other").exists()
