import time

import pytest

from runner.core.facts import Window
from runner.observe.requests import RequestCounter, requests_total
from tests.servers.scripted import scripted

TEXT = """# HELP app_requests_total Requests.
# TYPE app_requests_total counter
app_requests_total{path="/session",status="200"} 40.0
app_requests_total{path="/session",status="503"} 2.0
app_requests_total{path="/metrics",status="200"} 7.0
# TYPE app_requests_in_flight gauge
app_requests_in_flight 3.0
"""


def test_the_counter_is_summed_over_its_labels_without_scrapes_and_health_checks():
    assert requests_total(TEXT) == 42


@pytest.mark.parametrize(
    "text", ["", "# TYPE up gauge\nup 1.0\n", "# TYPE requests_total gauge\nrequests_total 1\n"]
)
def test_a_service_without_a_request_counter_has_none(text):
    assert requests_total(text) is None


def test_text_that_is_no_metrics_is_refused():
    with pytest.raises(ValueError):
        requests_total("<html>hello</html> {")


def serving(*bodies):
    waiting = list(bodies)

    def script(client, _):
        body = waiting.pop(0).encode()
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    return script


def counters(*values):
    return serving(
        *(f"# TYPE http_requests_total counter\nhttp_requests_total {value}\n" for value in values)
    )


def window():
    now = time.monotonic_ns()
    return Window(now, now, now + 50_000_000)


async def test_each_replica_counts_what_it_answered_in_the_window():
    with scripted(counters(10, 25)) as first, scripted(counters(100, 101)) as second:
        counter = RequestCounter(
            {"app-1": f"http://127.0.0.1:{first}/m", "app-2": f"http://127.0.0.1:{second}/m"}, window()
        )
        await counter.count()

    assert counter.requests == {"app-1": 15, "app-2": 1}
    assert counter.notes == []


async def test_a_replica_that_restarted_or_does_not_answer_is_said_and_not_taken_for_zero():
    with scripted(counters(10, 3)) as restarted:
        counter = RequestCounter(
            {"app-1": f"http://127.0.0.1:{restarted}/m", "app-2": "http://127.0.0.1:9/m"}, window()
        )
        await counter.count()

    assert counter.requests == {}
    assert len(counter.notes) == 2
