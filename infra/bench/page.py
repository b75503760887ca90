"""How large the report page of a long run is, and how soon a real browser has drawn it."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

from msgspec.structs import replace

from runner.core.results import Results
from runner.core.stage_results import Stage
from runner.report.page.render import render_page
from runner.store.results_file import parse_results
from runner.store.vega_cache import vega_bundle

_STORED = Path(__file__).parents[2] / "reports" / "shop" / "results.json"
_CHROMIUM = "/usr/bin/chromium"
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
_STAGES, _SECONDS, _REQUESTS = 10, 60, 8
_MOST_MB, _LONGEST_S = 3.0, 2.0
_TIMES = 5
_DRAWN = "performance.getEntriesByName('loadproof-{}')[0].startTime"


def long_run() -> Results:
    """Return a stored run of a mix, extended to 10 stages of 60 s with 8 requests."""
    results = parse_results(_STORED.read_bytes(), _STORED)
    configuration = results.configurations[0]
    pattern = configuration.stages[-1]
    stages = tuple(_stage(pattern, place) for place in range(_STAGES))
    return replace(results, configurations=(replace(configuration, stages=stages),))


def _stage(pattern: Stage, place: int) -> Stage:
    rate = 100.0 * (place + 1)
    seconds = tuple(
        replace(second, t_s=float(number + 1))
        for number, second in enumerate(islice(cycle(pattern.timeseries), _SECONDS))
    )
    parts = {
        f"request-{number}": replace(part, target_rps=rate / _REQUESTS)
        for number, part in enumerate(islice(cycle(pattern.parts.values()), _REQUESTS))
    }
    return replace(
        pattern, name=f"{rate:,.0f} RPS", target_rps=rate, actual_rps=rate, order=place,
        window_s=float(_SECONDS), timeseries=seconds, parts=parts, thresholds=(),
    )  # fmt: skip


def page_of_a_long_run() -> Iterator[tuple[str, str, str, bool]]:
    """Yield the size of the page, and the medians of when the first chart and all charts are drawn."""
    page = render_page(long_run(), bundle=vega_bundle())
    megabytes = len(page.encode()) / 1e6
    what = f"page of {_STAGES} stages x {_SECONDS} s x {_REQUESTS} requests"
    yield what, f"{megabytes:.2f} MB", f"< {_MOST_MB:.0f} MB", megabytes < _MOST_MB
    first_s, all_s = _drawn_in(page)
    yield f"{what}: picture of the verdict drawn", f"{first_s:.2f} s", "", True
    yield f"{what}: all charts drawn", f"{all_s:.2f} s", f"< {_LONGEST_S:.0f} s", all_s < _LONGEST_S


def _drawn_in(page: str) -> tuple[float, float]:
    """Return seconds from the start of navigation, medians of several visits."""
    from playwright.sync_api import sync_playwright

    first, last = [], []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "report.html"
        file.write_text(page, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_ARGUMENTS)
        for _ in range(_TIMES):
            context = browser.new_context(viewport={"width": 1280, "height": 800})
            visit = context.new_page()
            visit.goto(file.as_uri(), timeout=120_000)
            visit.wait_for_selector("html[data-drawn]", state="attached", timeout=120_000)
            first.append(visit.evaluate(_DRAWN.format("picture")) / 1000)
            last.append(visit.evaluate(_DRAWN.format("drawn")) / 1000)
            context.close()
        browser.close()
    return statistics.median(first), statistics.median(last)
