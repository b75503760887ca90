"""The page in a real browser: it works, requests nothing, and is accessible."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from runner.report.page import render as page_module
from runner.report.page.links import ExternalFiles, Link
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

    def __init__(self, browser, address, files=None, **how):
        self.context = browser.new_context(**how)
        self.page = self.context.new_page()
        self.messages, self.requests = [], []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        if files:
            self.page.route("**/*", lambda route: route.fulfill(**files(route.request.url)))
        self.page.goto(address)
        self.page.wait_for_selector("html[data-drawn=all]", state="attached")


@pytest.fixture
def visit(browser, address):
    opened = []

    def go(**how):
        opened.append(Visit(browser, address, **how))
        return opened[-1]

    yield go
    for visited in opened:
        visited.context.close()


SIZES = {"light": {"width": 1280, "height": 800}, "dark": {"width": 360, "height": 800}}


@pytest.fixture(scope="module")
def pages(browser, address):
    """The page twice, on a desk in light colours and on a phone in dark ones: drawing it takes a second."""
    visits = {
        scheme: Visit(browser, address, color_scheme=scheme, viewport=size) for scheme, size in SIZES.items()
    }
    for opened in visits.values():
        opened.page.evaluate(
            "window.unfolded = [...document.querySelectorAll('details')].map((one) => one.open)"
        )
    yield visits
    for opened in visits.values():
        opened.context.close()


def as_opened(opened, scheme):
    """The page of a visit with the size, the position and the unfolded sections that it had at first."""
    opened.page.set_viewport_size(SIZES[scheme])
    opened.page.evaluate(
        """() => {
          document.querySelectorAll('details').forEach((one, at) => { one.open = window.unfolded[at]; });
          window.scrollTo(0, 0);
        }"""
    )
    return opened.page


@pytest.fixture
def desk(pages):
    return as_opened(pages["light"], "light")


@pytest.fixture
def phone(pages):
    return as_opened(pages["dark"], "dark")


@pytest.mark.parametrize("scheme", SIZES)
def test_it_draws_its_charts_without_messages_and_requests(pages, address, scheme):
    opened = pages[scheme]

    assert opened.messages == []
    assert opened.requests == [address]
    assert opened.context.cookies() == []


def serious(page, *rules):
    """What axe finds, by these rules or by all, in the whole page with every section unfolded."""
    page.evaluate("document.querySelectorAll('details').forEach((section) => { section.open = true; })")
    axe = (node_tools() / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    page.evaluate(axe)
    only = {"runOnly": rules} if rules else {}
    result = page.evaluate("(how) => axe.run(how)", {"resultTypes": ["violations"], **only})
    assert len(result["passes"]) > (0 if rules else 20)
    found = [rule for rule in result["violations"] if rule["impact"] in {"serious", "critical"}]
    return json.dumps([(rule["id"], rule["nodes"][0]["html"]) for rule in found], indent=1)


def wait_until(page, condition):
    """Ask again and again; the page's policy forbids Playwright's own way to do so."""
    for _ in range(300):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    raise AssertionError(condition)


def test_axe_finds_nothing_serious(desk):
    assert serious(desk) == "[]"


def test_axe_finds_no_contrast_that_is_too_low_in_dark_colours(phone):
    assert serious(phone, "color-contrast") == "[]"


def test_the_page_is_no_wider_than_a_small_phone(phone):
    page = phone

    wait_until(page, "document.documentElement.scrollWidth <= 360")  # after charts are drawn to fit
    widths = page.evaluate("[...document.querySelectorAll('.chart svg')].map((svg) => svg.clientWidth)")
    assert 200 < max(widths) <= 360


def test_the_wheel_scrolls_the_page_and_zooms_a_chart_only_with_a_key(desk):
    page = desk
    ticks = "document.querySelector('#chart-distribution').textContent"
    before = page.evaluate(ticks)
    page.locator("#chart-distribution").hover()
    top = page.evaluate("window.scrollY")

    page.mouse.wheel(0, -50)
    wait_until(page, f"window.scrollY < {top}")
    assert page.evaluate(ticks) == before

    page.locator("#chart-distribution").hover()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -400)
    page.keyboard.up("Control")
    wait_until(page, f"{ticks} !== {json.dumps(before)}")


def column(page, title):
    at = page.locator(".sortable thead th").all_inner_texts()
    index = next(i for i, text in enumerate(at) if text.startswith(title))
    return [
        row.strip() for row in page.locator(f".sortable tbody tr > :nth-child({index + 1})").all_inner_texts()
    ]


def test_the_stages_are_sorted_from_the_keyboard_by_value_and_not_by_letter(desk):
    page = desk
    button = page.get_by_role("button", name="Actual RPS")

    button.focus()
    page.keyboard.press("Enter")
    rising = column(page, "Actual RPS")
    page.keyboard.press("Space")
    falling = column(page, "Actual RPS")

    assert rising == sorted(rising, key=lambda text: float(text.replace(",", "")))
    assert falling == rising[::-1]
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("Actual RPS")


def test_findings_open_from_the_keyboard_and_show_their_evidence(desk):
    page = desk
    summary = page.locator("details.finding summary").first

    summary.focus()
    page.keyboard.press("Enter")

    assert page.locator("details.finding[open] table").first.is_visible()


def test_a_legend_filters_what_is_drawn(desk):
    page = desk
    chart = page.locator("#chart-latency")
    faded = "document.querySelectorAll('#chart-latency path[opacity=\"0.12\"]').length"

    before = page.evaluate(faded)
    chart.get_by_text("p50", exact=True).click()
    wait_until(page, f"{faded} > 0")

    assert before == 0


@pytest.mark.parametrize("device", ["phone", "desk"])
def test_the_first_screen_has_verdict_figures_and_picture(request, device):
    page = request.getfixturevalue(device)

    below = "(part) => document.querySelector(part).getBoundingClientRect().bottom"
    parts = [".verdict", ".figures", ".why h3", *([".why svg"] if device == "desk" else [])]
    assert {part: page.evaluate(below, part) <= 800 for part in parts} == dict.fromkeys(parts, True)


def test_charts_use_the_width_in_two_columns_or_in_one(desk):
    page = desk
    places = """() => [...document.querySelectorAll('.charts > :not(.wide)')].map((one) => one.offsetLeft)"""
    room = """() => [...document.querySelectorAll('.chart')].map((one) =>
      one.clientWidth - Number(one.querySelector('svg').getAttribute('width')))"""
    cut = """() => [...document.querySelectorAll('.chart svg')].flatMap((svg) => {
      const whole = svg.getBoundingClientRect();
      return [...svg.querySelectorAll('text')].filter((text) => {
        const own = text.getBoundingClientRect();
        return own.bottom > whole.bottom + 1 || own.right > whole.right + 1;
      }).map((text) => text.textContent);
    })"""

    assert page.evaluate(cut) == []
    assert len(set(page.evaluate(places))) == 2
    assert max(map(abs, page.evaluate(room))) <= 12
    page.set_viewport_size({"width": 900, "height": 800})
    assert len(set(page.evaluate(places))) == 1


def test_colours_that_were_chosen_are_remembered(visit):
    page = visit(color_scheme="light").page
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)

    page.get_by_role("button", name="Dark colours").press("Enter")
    dark = page.evaluate(ground)
    page.reload()
    page.wait_for_selector("html[data-drawn=all]", state="attached")

    assert dark != light
    assert page.evaluate(ground) == dark
    page.get_by_role("button", name="Light colours").press("Enter")


TEMPLATES = Path(page_module.__file__).parents[1] / "templates"
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'"


def served(url):
    """The page as an application serves it, and its files, under a policy without inline code."""
    name = url.rpartition("/")[2]
    if name == "run":
        files = ExternalFiles("/page.css", "/theme.js", "/page.js", "/charts.js")
        body = render_page(stored("app-server"), external=files, home=Link("/", "All runs"))
        return {"body": body, "content_type": "text/html", "headers": {"Content-Security-Policy": POLICY}}
    kind = "text/css" if name.endswith(".css") else "text/javascript"
    text = vega_bundle() if name == "charts.js" else (TEMPLATES / name).read_text(encoding="utf-8")
    return {"body": text, "content_type": kind}


def test_a_served_page_works_under_a_policy_without_inline_code(browser):
    opened = Visit(browser, "http://report.test/run", served)

    assert opened.messages == []
    assert opened.page.locator(".chart svg").count() == 8
    opened.page.locator("#chart-throughput").hover()
    opened.context.close()


def test_on_paper_everything_stands_once_and_charts_use_its_width(desk):
    desk.set_viewport_size({"width": 688, "height": 1000})  # A4 between its margins
    desk.emulate_media(media="print")
    desk.evaluate("window.dispatchEvent(new Event('beforeprint'))")

    assert desk.pdf().startswith(b"%PDF")
    shown = "[...document.querySelectorAll('{}')].filter((one) => one.checkVisibility())"
    for what in ("button", ".sortable", "nav a", "#definitions", "#evidence", "summary"):
        assert desk.evaluate(f"{shown.format(what)}.length") == 0, what
    text = desk.locator("main").inner_text()
    of_each = {"Detailed Test Results": 2, "Average CPU usage": 2, "Conclusion": 1, "Definitions": 1}
    assert {heading: text.count(heading) for heading in of_each} == of_each, "there are two configurations"
    widths = desk.evaluate(f"{shown.format('.chart svg')}.map((one) => one.getBoundingClientRect().width)")
    assert len(widths) >= 6
    assert min(widths) > 0.9 * 688
    desk.evaluate("window.dispatchEvent(new Event('afterprint'))")
    desk.emulate_media(media="screen")
