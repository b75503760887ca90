"""The counters that nginx and apps publish, by the names their libraries use."""

import math

import httpx
import pytest

from app_server.app import create_app
from app_server.settings import Settings
from runner.observe.bounds import BoundExceeded
from runner.observe.counters.pages import AppPage, nginx_status, parse_metrics

LAG = """# TYPE app_event_loop_lag_seconds histogram
app_event_loop_lag_seconds_bucket{{le="0.001"}} {0}
app_event_loop_lag_seconds_bucket{{le="0.25"}} {1}
app_event_loop_lag_seconds_bucket{{le="1.0"}} {2}
app_event_loop_lag_seconds_bucket{{le="+Inf"}} {3}
app_event_loop_lag_seconds_count {3}
app_event_loop_lag_seconds_sum {4}
"""


def test_nginxs_accepted_and_handled_connections_are_read():
    text = "Active connections: 3 \nserver accepts handled requests\n 10 9 31 \nReading: 0 Writing: 1\n"

    levels = nginx_status(text, limit=32)

    assert {name: level.value for name, level in levels.items()} == {
        "nginx.accepts": 10, "nginx.handled": 9, "nginx.requests": 31, "nginx.active": 3
    }  # fmt: skip
    assert levels["nginx.active"].limit == 32


@pytest.mark.parametrize("text", ["", "<html>Welcome to nginx!</html>"])
def test_a_page_that_is_not_stub_status_is_refused(text):
    with pytest.raises(ValueError):
        nginx_status(text)


@pytest.mark.parametrize(
    ("text", "gc_s", "lag_s"),
    [
        ("app_gc_seconds_total 1.5\napp_event_loop_lag_seconds 0.02\n", 1.5, 0.02),
        ("go_gc_duration_seconds_sum 0.25\n", 0.25, None),
        ('jvm_gc_pause_seconds_sum{action="minor"} 1\njvm_gc_pause_seconds_sum{action="x"} 2\n', 3.0, None),
        ('jvm_gc_collection_seconds_sum{gc="G1"} 1\n', 1.0, None),
        ('jvm_gc_duration_seconds_sum{jvm_gc_name="G1"} 1\n', 1.0, None),
        ("go_gc_pauses_seconds_sum 0.5\n", 0.5, None),
        ("go_sched_latencies_seconds_count 4\ngo_sched_latencies_seconds_sum 1\n", None, 0.25),
        ("nodejs_eventloop_lag_seconds 0.5\n", None, 0.5),
        ('nodejs_gc_duration_seconds_sum{kind="minor"} 0.125\n', 0.125, None),
        ("http_requests_total 4\n", None, None),
        ("go_sched_latencies_seconds_count 4\n", None, None),
    ],
)
def test_metrics_of_the_usual_languages_are_understood(text, gc_s, lag_s):
    levels = AppPage().read(parse_metrics(text))

    assert {name: level.value for name, level in levels.items()} == {
        name: value for name, value in (("app.gc_s", gc_s), ("app.event_loop_lag_s", lag_s)) if value
    }


def test_a_lag_gauge_of_several_workers_is_their_maximum_and_not_their_sum():
    text = '# TYPE nodejs_eventloop_lag_seconds gauge\nnodejs_eventloop_lag_seconds{w="1"} 0.1\n'

    levels = AppPage().read(parse_metrics(text + 'nodejs_eventloop_lag_seconds{w="2"} 0.3\n'))

    assert levels["app.event_loop_lag_s"].value == 0.3


def test_a_lag_histogram_gives_the_windows_average_and_its_highest_bucket():
    page = AppPage()
    page.read(parse_metrics(LAG.format(100, 100, 110, 111, 30.0)))

    lag = page.read(parse_metrics(LAG.format(150, 190, 200, 211, 31.0)))["app.event_loop_lag_s"]

    assert lag.value == pytest.approx(1.0 / 100)
    assert lag.peak == 1.0  # beyond the last finite bound


def test_a_histograms_values_before_the_window_are_no_peak_of_it():
    page = AppPage()
    page.read(parse_metrics(LAG.format(100, 100, 110, 111, 30.0)))

    lag = page.read(parse_metrics(LAG.format(160, 200, 210, 211, 31.0)))["app.event_loop_lag_s"]

    assert lag.peak == 0.25


def test_a_page_that_is_no_metrics_is_refused():
    with pytest.raises(ValueError):
        parse_metrics("<html>hello</html> {")


async def test_the_reference_service_publishes_both():
    transport = httpx.ASGITransport(app=create_app(Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        text = (await client.get("/metrics")).text

    assert AppPage().read(parse_metrics(text)).keys() == {"app.gc_s", "app.event_loop_lag_s"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a 1\n" * 20_001, "its page has more than 20,000 lines"),
        ('a{b="' + "x" * 5_000 + '"} 1\n', "a line of its page has more than 4,096 characters"),
    ],
)
def test_a_page_with_too_many_or_too_long_series_is_refused_before_it_is_parsed(text, reason):
    with pytest.raises(BoundExceeded, match=reason):
        parse_metrics(text)


@pytest.mark.parametrize("number", ["1" + "0" * 400, "1e999", "NaN"])
def test_a_number_that_is_no_float_is_kept_as_what_it_is_not(number):
    value = parse_metrics(f"app_gc_seconds_total 1\napp_gc_seconds_total {number}\n").samples[
        "app_gc_seconds_total"
    ]

    assert not math.isfinite(value)
