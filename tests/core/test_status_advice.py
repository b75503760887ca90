"""Advice for every status code that a server can send."""

import pytest

from runner.core.load_facts import ResponseSample
from runner.core.status_advice import check_request, describe_sample, is_about, status_advice

HEADERS = (
    ("allow", "PUT"), ("location", "/login"), ("proxy-authenticate", "Negotiate"), ("retry-after", "7"),
    ("www-authenticate", "Basic"),
)  # fmt: skip
STATUSES = (0, *range(100, 600), 999)


def test_every_status_has_advice_without_capital_and_full_stop():
    for status in STATUSES:
        for sample in (None, ResponseSample("bad_status", status, HEADERS)):
            advice = status_advice(status, sample)

            assert advice[0].islower(), status
            assert not advice.endswith("."), status


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (204, "accept the status"),
        (301, "(Location: /login)"),
        (302, "(Location: /login)"),
        (307, "(Location: /login)"),
        (401, "(WWW-Authenticate: Basic)"),
        (403, "credentials"),
        (404, "the path of the request"),
        (405, "(Allow: PUT)"),
        (407, "(Proxy-Authenticate: Negotiate)"),
        (418, "its expect in load"),
        (429, "(Retry-After: 7)"),
        (503, "(Retry-After: 7)"),
    ],
)
def test_the_header_that_explains_a_status_is_quoted(status, words):
    assert words in status_advice(status, ResponseSample("bad_status", status, HEADERS))


@pytest.mark.parametrize("status", [302, 401, 405, 429, 503])
def test_a_header_that_was_not_sent_is_not_quoted(status):
    assert "(" not in status_advice(status, ResponseSample("bad_status", status))


def test_only_server_errors_quote_the_app():
    output = ("first", "last")

    assert status_advice(500, None, output).endswith("; the app's last output: last")
    assert "last output" not in status_advice(404, None, output)
    assert "last output" not in status_advice(500)


def test_a_sample_is_described_in_one_line():
    sample = ResponseSample("bad_status", 302, HEADERS[1:2], "moved")

    assert describe_sample(sample) == "location: /login; body: moved"
    assert describe_sample(ResponseSample("bad_status", 500)) == ""


def test_advice_for_a_request_of_a_mix_names_no_key_of_a_single_request():
    for status in STATUSES:
        text = status_advice(status, request="order")

        assert "in load" not in text.replace("in load.requests[order]", ""), status
        assert "load.expect" not in text, status
        assert "of the request" not in text.replace("rate of requests", ""), status


@pytest.mark.parametrize(
    ("status", "key"),
    [
        (302, "load.requests[order].expect.status"),
        (401, "load.requests[order].headers"),
        (404, "load.requests[order].path"),
        (405, "load.requests[order].method"),
        (418, "load.requests[order] and its expect"),
    ],
)
def test_advice_for_a_request_of_a_mix_names_its_key(status, key):
    assert key in status_advice(status, request="order")


@pytest.mark.parametrize(
    ("line", "path", "about"),
    [
        ("GET /orders HTTP/1.1 500", "/orders", True),
        ("GET /orders?q=1 500", "/orders?q=${n}", True),
        ("error in /orders/17: no stock", "/orders/${id}", True),
        ("error in /orders/17: no stock", "/orders", False),
        ("error in /v1/orders", "/orders", False),
        ("GET / 500", "/", True),
        ("GET /orders 500", "/", False),
        ("no stock", "/orders", False),
    ],
)
def test_a_line_is_about_a_request_if_it_contains_its_whole_path(line, path, about):
    assert is_about(line, path) is about


def test_a_line_that_cannot_be_attributed_is_called_the_last_line_of_the_log():
    output = ("crash of /orders", "crash of /search")

    about_it = status_advice(500, None, output, request="order", path="/orders")
    unknown = status_advice(500, None, output, request="pay", path="/pay")

    assert about_it.endswith("; the app's last output about it: crash of /orders")
    assert unknown.endswith(
        "; the last line of the app's log, which may be about another request: crash of /search"
    )


def test_the_address_of_a_step_may_stand_in_its_url():
    assert status_advice(404, request="buy/item") == "check load.scenarios[buy][item].path or .url"
    assert status_advice(404, request="item") == "check load.requests[item].path"
    assert status_advice(404) == "check the path of the request in load"


def test_a_connection_that_is_closed_early_has_advice_of_its_own():
    advice = check_request("buy/item", "closed_early")

    assert advice == "read the service's log: it closed the connection before its response was complete"
