"""`runner serve` in a real browser: accessible, usable by keyboard, quiet, and as wide as its window."""

import json

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.publish.node_tools import node_tools
from tests.report.page.test_browser import ARGUMENTS
from tests.serve.conftest import WITHIN_S
from tests.serve.folders import add_run

pytestmark = pytest.mark.browser

LIST, RUN = "/", "/run/quickstart/run-00001"
COMPARISON = "/compare?run=quickstart/run-00001&run=quickstart/run-00003"
HISTORY, PROBLEM = "/history?experiment=quickstart", "/run/broken.zip"
PAGES = [LIST, RUN, COMPARISON, HISTORY, PROBLEM]


@pytest.fixture(scope="module")
def browser(served):
    served.list_when_read()
    for page in PAGES:
        served.get(page)  # the first one of a kind takes longer
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield started
        started.close()


class Visit:
    """One opened page with its console messages and the hosts of its requests."""

    def __init__(self, browser, served, path, **how):
        self.context = browser.new_context(**how)
        self.page = self.context.new_page()
        self.page.set_default_timeout(WITHIN_S * 1000)
        self.messages, self.requests = [], []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(served.url + path)
        if path == HISTORY:
            self.page.wait_for_selector(".chart svg")


@pytest.fixture
def visit(browser, served):
    opened = []

    def go(path, **how):
        opened.append(Visit(browser, served, path, **how))
        return opened[-1]

    yield go
    for visited in opened:
        visited.context.close()


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing_serious_and_the_console_is_empty(visit, served, path):
    axe = (node_tools() / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    for scheme, width in (("light", 1400), ("dark", 360)):
        opened = visit(path, color_scheme=scheme, viewport={"width": width, "height": 800})
        page = opened.page
        page.evaluate("document.querySelectorAll('details').forEach((section) => { section.open = true; })")

        if path == LIST:
            assert page.get_by_text("specification changed").count()
        page.evaluate(axe)
        how = {"resultTypes": ["violations"]} | ({"runOnly": ["color-contrast"]} if scheme == "dark" else {})
        violations = page.evaluate("(how) => axe.run(how)", how)["violations"]

        serious = [rule for rule in violations if rule["impact"] in {"serious", "critical"}]
        found = [(rule["id"], rule["nodes"][0]["html"]) for rule in serious]
        assert found == [], json.dumps(found, indent=1)
        assert [text for text in opened.messages if "ERR_NETWORK_CHANGED" not in text] == []
        assert all(url.startswith((served.url, "data:")) for url in opened.requests)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


_CLIPPED = """[...document.querySelectorAll(".chart svg")].flatMap((svg) =>
  [...svg.querySelectorAll(".role-legend-label text")].filter((label) =>
    label.getBoundingClientRect().right > svg.getBoundingClientRect().right + 1)).length"""


def test_no_legend_is_wider_than_its_chart(visit):
    page = visit(HISTORY, viewport={"width": 200, "height": 800}).page

    assert page.locator(".role-legend-label text").count() > 2
    assert page.evaluate(_CLIPPED) == 0


def names(page):
    return page.locator("table.runs:not(.experiments) tbody td.name").all_inner_texts()


def test_the_list_is_filtered_and_sorted_from_the_keyboard_without_a_reload(visit):
    page = visit(LIST).page
    page.evaluate("window.isTheSame = true")

    page.keyboard.press("/")
    page.keyboard.type("capacity app-cpu")
    page.wait_for_url("**/?q=capacity+app-cpu")
    expect(page.locator("table.runs:not(.experiments) tbody tr")).to_have_count(1, timeout=WITHIN_S * 1000)
    assert names(page) == ["capacity"]
    assert page.evaluate("document.activeElement.value") == "capacity app-cpu"

    page.keyboard.press("Control+A")
    page.keyboard.type("quickstart")
    page.wait_for_url("**/?q=quickstart")
    page.locator("[data-sort=p95]").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("th[aria-sort=ascending] [data-sort=p95]")
    values = page.locator("table.runs:not(.experiments) td[data-label=p95]").all_inner_texts()
    rising = [float(text.split()[0]) for text in values if text[0].isdigit()]
    assert rising == sorted(rising)
    assert len(rising) > 2
    assert page.evaluate("document.activeElement.dataset.sort") == "p95"
    assert page.evaluate("window.isTheSame")


def test_two_ticked_runs_lead_to_their_comparison(visit):
    page = visit("/?q=run-0000").page
    page.wait_for_selector("html.js")
    boxes = page.locator(".tick input")

    for at in (0, 1):
        boxes.nth(at).focus()
        page.keyboard.press("Space")
    page.get_by_role("button", name="Compare", exact=True).focus()
    page.keyboard.press("Enter")

    page.wait_for_url("**/compare?**")
    assert page.locator("h1").inner_text().startswith(("Comparison", "These runs"))


def test_a_new_run_appears_by_itself_and_ticks_stay(visit, served):
    page = visit("/?q=quickstart").page
    page.wait_for_selector("html.js")
    page.locator(".tick input").first.check()
    value = page.locator(".tick input:checked").get_attribute("value")

    add_run(served.folder, number=77)

    page.wait_for_selector('a[href="/run/quickstart/run-00077"]')
    assert page.locator(".tick input:checked").get_attribute("value") == value


def test_it_works_without_scripts(visit):
    page = visit(LIST, java_script_enabled=False).page

    page.locator("#q").fill("capacity app-cpu")
    page.locator("#q").press("Enter")

    page.wait_for_url("**/?q=capacity+app-cpu**")
    assert set(names(page)) == {"capacity"}
