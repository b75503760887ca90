"""The page in a real browser: it works, requests nothing, and is accessible."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import sync_playwright

from runner.report.page.render import render_page
from runner.store.vega_cache import vega_bundle
from tests.publish.node_tools import node_tools
from tests.report.stored_results import stored

pytestmark = pytest.mark.browser

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(render_page(stored("app-server"), bundle=vega_bundle()), encoding="utf-8")
    return file.as_uri()


class Visit:
    """One opened page with its console messages and requests."""

    def __init__(self, browser, address, **how):
        self.context = browser.new_context(**how)
        self.page = self.context.new_page()
        self.messages, self.requests = [], []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address)
        self.page.wait_for_function("document.querySelectorAll('.chart svg').length >= 6")


@pytest.fixture
def visit(browser, address):
    opened = []

    def go(**how):
        opened.append(Visit(browser, address, **how))
        return opened[-1]

    yield go
    for visited in opened:
        visited.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_draws_its_charts_without_messages_and_requests(visit, address, scheme):
    opened = visit(color_scheme=scheme)

    assert opened.messages == []
    assert opened.requests == [address]
    assert opened.context.cookies() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit, scheme):
    page = visit(color_scheme=scheme).page
    page.evaluate("document.querySelectorAll('details').forEach((section) => { section.open = true; })")
    axe = (node_tools() / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")

    page.evaluate(axe)
    result = page.evaluate("axe.run()")

    serious = [rule for rule in result["violations"] if rule["impact"] in {"serious", "critical"}]
    assert serious == [], json.dumps([(rule["id"], rule["nodes"][0]["html"]) for rule in serious], indent=1)
    assert len(result["passes"]) > 20


def test_the_page_is_no_wider_than_a_small_phone(visit):
    page = visit(viewport={"width": 360, "height": 800}).page

    page.wait_for_function("document.documentElement.scrollWidth <= 360")  # after charts are drawn to fit
    widths = page.evaluate("[...document.querySelectorAll('.chart svg')].map((svg) => svg.clientWidth)")
    assert 200 < max(widths) <= 360


def test_the_wheel_scrolls_the_page_and_zooms_a_chart_only_with_a_key(visit):
    page = visit().page
    ticks = "document.querySelector('#chart-distribution').textContent"
    before = page.evaluate(ticks)
    page.locator("#chart-distribution").hover()

    page.mouse.wheel(0, 50)
    page.wait_for_function("window.scrollY > 0")
    assert page.evaluate(ticks) == before

    page.locator("#chart-distribution").hover()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -400)
    page.wait_for_function(f"{ticks} !== {json.dumps(before)}")


def column(page, title):
    at = page.locator(".sortable thead th").all_inner_texts()
    index = next(i for i, text in enumerate(at) if text.startswith(title))
    return [
        row.strip() for row in page.locator(f".sortable tbody tr > :nth-child({index + 1})").all_inner_texts()
    ]


def test_the_stages_are_sorted_from_the_keyboard_by_value_and_not_by_letter(visit):
    page = visit().page
    button = page.get_by_role("button", name="Actual RPS")

    button.focus()
    page.keyboard.press("Enter")
    rising = column(page, "Actual RPS")
    page.keyboard.press("Space")
    falling = column(page, "Actual RPS")

    assert rising == sorted(rising, key=lambda text: float(text.replace(",", "")))
    assert falling == rising[::-1]
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("Actual RPS")


def test_findings_open_from_the_keyboard_and_show_their_evidence(visit):
    page = visit().page
    summary = page.locator("details.finding summary").first

    summary.focus()
    page.keyboard.press("Enter")

    assert page.locator("details.finding[open] table").first.is_visible()


def test_a_legend_filters_what_is_drawn(visit):
    page = visit().page
    chart = page.locator("#chart-latency")
    faded = "document.querySelectorAll('#chart-latency path[opacity=\"0.12\"]').length"

    before = page.evaluate(faded)
    chart.get_by_text("p50", exact=True).click()
    page.wait_for_function(f"{faded} > 0")

    assert before == 0


def test_it_can_be_printed(visit):
    assert visit().page.pdf().startswith(b"%PDF")
