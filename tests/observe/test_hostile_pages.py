"""Whatever an app or a proxy sends as its counters: the run goes on, in bounded memory and time."""

import resource
import time
from dataclasses import dataclass, field

import pytest
import trio

from runner.core.facts import Window
from runner.observe import http
from runner.observe.bounds import MAX_PAGE_S
from runner.observe.counters import page_watch
from runner.observe.counters.gather import Counters
from runner.observe.counters.page_watch import Pages
from tests.servers.hostile_pages import PAGES, hostile_pages
from tests.servers.scripted import scripted

TOO_LARGE = "its page is larger than 1 MiB"
LATE = "its page did not respond in time"
BROKEN = "its page could not be read (RemoteProtocolError)"
UNKNOWN = "its format is unknown"
REASONS = {
    "endless": TOO_LARGE,
    "endless-chunks": TOO_LARGE,
    "endless-head": BROKEN,
    "endless-header": BROKEN,
    "endless-informational": LATE,
    "slow-continue": LATE,
    "endless-trailer": BROKEN,
    "drip": LATE,
    "drip-head": LATE,
    "silent": LATE,
    "gzip-bomb": "its page is compressed, which was not asked for",
    "announced-large": TOO_LARGE,
    "huge-header": BROKEN,
    "many-series": "its page has more than 20,000 lines",
    "long-line": "a line of its page has more than 4,096 characters",
    "backslashes": "a line of its page has more than 4,096 characters",
    "not-utf-8": "its page is not UTF-8 text",
    "binary": UNKNOWN,
    "json": UNKNOWN,
    "redirect": "its page returned status 302",
    "closed": BROKEN,
    "no-http": BROKEN,
    "large-bucket": UNKNOWN,
}
ANY_BOUND = {"endless-tiny-chunks", "informational-flood", "continue-flood"}
"""Their size and their time reach their bounds at about the same instant."""
OUT_OF_BOUNDS = {
    "nan": "its value, nan, is not between 0 and 1e+15",
    "infinite": "its value, inf, is not between 0 and 1e+15",
    "minus-infinite": "its value, -inf, is not between 0 and 1e+15",
    "large": "its value, 1e+300, is not between 0 and 1e+15",
    "large-integer": "its value, inf, is not between 0 and 1e+15",
}


@dataclass
class Seen:
    readable: tuple = ()
    unreadable: tuple = ()
    requests: dict = field(default_factory=dict)
    took_s: dict = field(default_factory=dict)
    grown_mib: float = 0.0


async def watched(metrics=(), status=(), seconds=0.1):
    start = time.monotonic_ns()
    window = Window(start, start, start + round(seconds * 1e9))
    counters = Counters((), window, Pages(dict(metrics), dict(status)))
    await counters.watch()
    return counters


def within(patch, seconds):
    """Change the time in which a page must be read."""
    for module in (http, page_watch):
        patch.setattr(module, "MAX_PAGE_S", seconds)


def pages_by_time():
    """Return the pages by the time to read them in: what is not about time must not depend on it.

    A page that breaks the protocol is requested again until its time has passed.
    """
    late = {*ANY_BOUND, *(page for page, reason in REASONS.items() if reason == LATE)}
    broken = {page for page, reason in REASONS.items() if reason == BROKEN}
    return {1.0: late, MAX_PAGE_S: broken, 60.0: PAGES.keys() - late - broken}


@pytest.fixture(scope="module")
def read():
    """Every page read as an app's and as a proxy's, some at once."""

    async def read_page(name, url, limit, seen):
        async with limit:
            started = time.monotonic()
            counters = await watched({name: f"{url}/{name}"}, {f"nginx-{name}": f"{url}/{name}"})
            seen.took_s[name] = time.monotonic() - started
            seen.readable += counters.readable
            seen.unreadable += counters.unreadable
            seen.requests |= counters.requests

    async def read_all(pages, url, seen):
        limit = trio.CapacityLimiter(3)
        async with trio.open_nursery() as nursery:
            for name in pages:
                nursery.start_soon(read_page, name, url, limit, seen)

    seen = Seen()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with hostile_pages() as url, pytest.MonkeyPatch.context() as patch:
        for seconds, pages in pages_by_time().items():
            within(patch, seconds)
            trio.run(read_all, pages, url, seen)
    seen.grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    return seen


def reasons(counters, family):
    return {fault.scope: fault.reason for fault in counters.unreadable if fault.name == family}


def test_every_page_that_is_out_of_bounds_is_unreadable_with_its_reason(read):
    seen = reasons(read, "app")

    assert {name: seen.get(name) for name in REASONS} == REASONS
    assert {seen[page] for page in ANY_BOUND} <= {LATE, TOO_LARGE}


def test_every_value_that_is_out_of_bounds_is_unreadable_with_the_value(read):
    assert {name: reasons(read, "app.gc_s").get(name) for name in OUT_OF_BOUNDS} == OUT_OF_BOUNDS


def test_pages_within_bounds_are_read_whatever_their_content_type(read):
    assert {counter.scope for counter in read.readable if counter.name == "app.gc_s"} == {
        "good",
        "as-html",
    }
    assert read.requests == {"good": 0, "as-html": 0}


def test_none_of_them_is_taken_for_nginxs_status(read):
    assert reasons(read, "nginx").keys() == {f"nginx-{name}" for name in PAGES}


def test_each_of_them_takes_bounded_time_and_memory(read):
    assert max(read.took_s.values()) < 4 * MAX_PAGE_S  # two readings, on a busy machine
    assert read.grown_mib < 200


@pytest.mark.parametrize("page", ["drip", "silent", "endless-informational"])
async def test_a_slow_page_does_not_outlive_its_time(page, monkeypatch):
    within(monkeypatch, 1.0)
    with hostile_pages() as url, trio.fail_after(4 * MAX_PAGE_S):
        counters = await watched({"app": f"{url}/{page}"}, seconds=1.0)

    assert reasons(counters, "app") == {"app": LATE}


async def test_a_proxys_page_that_becomes_slow_is_not_read_for_every_second_that_it_missed():
    page = b"Active connections: 1 \nserver accepts handled requests\n 10 10 10 \n"
    requests = []

    def script(client, _):
        requests.append(time.monotonic())
        if len(requests) > 1:
            time.sleep(2 * MAX_PAGE_S)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page))

    with scripted(script) as port, trio.fail_after(20):
        counters = await watched(status={"nginx": f"http://127.0.0.1:{port}/"}, seconds=5.0)

    assert len(requests) < 6
    assert reasons(counters, "nginx") == {"nginx": LATE}


@pytest.mark.parametrize(
    "url", ["http://[::1", "nonsense", "http://127.0.0.1:99999/", "http://a b/", "\ud800"]
)
async def test_an_address_that_is_none_is_unreadable(url, monkeypatch):
    within(monkeypatch, 0.5)
    with trio.fail_after(4 * MAX_PAGE_S):
        counters = await watched({"app": url})

    assert reasons(counters, "app").keys() == {"app"}
