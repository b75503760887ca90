"""Requests that replicas counted themselves, from the page that all of an app's counters are read from."""

import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runner.core.facts import Window
from runner.observe.counters.gather import Counters
from runner.observe.counters.page_watch import Pages
from runner.observe.requests import requests_total
from tests.servers.scripted import scripted

TEXT = """# HELP app_requests_total Requests.
# TYPE app_requests_total counter
app_requests_total{path="/session",status="200"} 40.0
app_requests_total{path="/session",status="503"} 2.0
app_requests_total{path="/metrics",status="200"} 7.0
# TYPE app_requests_in_flight gauge
app_requests_in_flight 3.0
"""


def total(text):
    return requests_total(text_string_to_metric_families(text))


def test_the_counter_is_summed_over_its_labels_without_scrapes_and_health_checks():
    assert total(TEXT) == 42


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# TYPE up gauge\nup 1.0\n",
        "# TYPE requests_total gauge\nrequests_total 1\n",
        "# TYPE http_requests_total counter\nhttp_requests_total NaN\n",
    ],
)
def test_a_service_without_a_request_counter_has_none(text):
    assert total(text) is None


def serving(*bodies):
    """A script that responds with each body in turn, and the number of requests it received."""
    waiting = list(bodies)

    def script(client, _):
        body = waiting.pop(0).encode()
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    return script


def counting(*values):
    return serving(
        *(f"# TYPE http_requests_total counter\nhttp_requests_total {value}\n" for value in values)
    )


async def watched(**urls):
    start = time.monotonic_ns()
    counters = Counters((), Window(start, start, start + 50_000_000), Pages(urls, {}))
    await counters.watch()
    return counters


async def test_each_replica_counts_the_requests_of_the_window():
    with scripted(counting(10, 25)) as first, scripted(counting(100, 101)) as second:
        counters = await watched(app_1=f"http://127.0.0.1:{first}/m", app_2=f"http://127.0.0.1:{second}/m")

    assert counters.requests == {"app_1": 15, "app_2": 1}
    assert counters.notes == ()


async def test_a_replica_that_restarted_or_does_not_respond_is_noted_and_not_zero():
    with scripted(counting(10, 3)) as restarted:
        counters = await watched(app_1=f"http://127.0.0.1:{restarted}/m", app_2="http://127.0.0.1:9/m")

    assert counters.requests == {}
    assert counters.notes == (
        "the request counter of app_1 decreased, so the service was restarted",
        "the request counter of app_2 could not be read",
    )


async def test_a_page_is_read_once_at_each_end_for_all_its_counters():
    metrics = "# TYPE http_requests_total counter\nhttp_requests_total {}\napp_gc_seconds_total {}\n"
    with scripted(serving(metrics.format(1, 0.5), metrics.format(4, 0.75))) as port:
        counters = await watched(app=f"http://127.0.0.1:{port}/m")

    (pauses,) = [counter for counter in counters.readable if counter.name == "app.gc_s"]
    assert counters.requests == {"app": 3}
    assert (pauses.before, pauses.after) == (0.5, 0.75)


async def test_a_page_that_is_no_metrics_is_unreadable():
    with scripted(serving("<html>hello</html> {", "<html>hello</html> {")) as port:
        counters = await watched(app=f"http://127.0.0.1:{port}/m")

    assert counters.requests == {}
    assert [(fault.name, fault.reason) for fault in counters.unreadable if fault.scope == "app"] == [
        ("app", "its format is unknown")
    ]
