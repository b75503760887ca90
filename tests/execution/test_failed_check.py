"""The checks that a response does not pass are named, with what was received."""

from __future__ import annotations

import pytest

from runner.core.load_facts import LoadFacts, LoadSecond, PartFacts, ResponseSample
from runner.execution.failed_check import failed_checks, with_failed_checks
from runner.experiment.expect import Expect
from runner.experiment.traffic import Load
from runner.load.check_order import check_order

JSON = '{"total": 30, "state": "open", "items": [{"id": 1}, {"id": "x"}]}'


def named(expect: dict[str, object], body: str = JSON, kind: str = "bad_body") -> str:
    headers = (("content-type", "text/html"), ("server", "x"))
    return failed_checks(check_order(Expect.model_validate(expect)), ResponseSample(kind, 200, headers, body))


@pytest.mark.parametrize(
    ("expect", "text"),
    [
        ({"json": {"$.total": {"min": 31}}}, "$.total is 30; expect.json requires it to be at least 31"),
        (
            {"json": {"$.total": {"min": 1, "max": 9}}},
            "$.total is 30; expect.json requires it to be at least 1 and at most 9",
        ),
        ({"json": {"$.state": "done"}}, '$.state is "open"; expect.json requires it to be "done"'),
        ({"json": {"$.no": 1}}, "there is nothing at $.no; expect.json requires it to be 1"),
        ({"json": {"$.state": {"exists": False}}}, '$.state is "open"; expect.json requires it to be absent'),
        (
            {"json": {"$.items[*].id": {"min": 1}}},
            '$.items[*].id is 1, "x"; expect.json requires it to be at least 1',
        ),
        (
            {"json": {"$.total": 30, "$.state": "done"}},
            '$.state is "open"; expect.json requires it to be "done"',
        ),
        ({"body_contains": ["total", "missing"]}, "expect.body_contains requires 'missing'"),
        ({"not_body_contains": "open"}, "expect.not_body_contains forbids 'open'"),
        ({"body_matches": "order [0-9]+"}, "expect.body_matches requires a match of 'order [0-9]+'"),
    ],
)
def test_a_failed_check_of_the_body_is_named(expect, text):
    assert named(expect) == text


def test_a_body_that_is_no_json_or_cut_off_has_the_requirement_only():
    for body in ("<html>", JSON[:20], "", "[" * 5000):
        assert named({"json": {"$.total": 30}}, body) == "expect.json requires $.total to be 30"


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        (
            {"Content-Type": {"contains": "json"}},
            "content-type is 'text/html'; expect.headers requires content-type to contain 'json'",
        ),
        (
            {"Content-Type": "a/b"},
            "content-type is 'text/html'; expect.headers requires content-type to be 'a/b'",
        ),
        ({"X-Version": "3"}, "expect.headers requires x-version to be '3'"),
        ({"X-Version": {"exists": True}}, "expect.headers requires x-version to exist"),
        ({"X-Version": {"matches": "^3"}, "Server": "x"}, "expect.headers requires x-version to match '^3'"),
        ({"Server": {"exists": False}}, "server is 'x'; expect.headers requires no server"),
    ],
)
def test_a_failed_check_of_a_header_is_named(headers, text):
    assert named({"headers": headers}, kind="bad_header") == text


def test_what_is_named_is_short_and_printable():
    body = '{"a": "%s\\u001b[31m"}' % ("x" * 1500)
    text = named({"json": {f"$.{name}": 1 for name in "abcde"}}, body)

    assert len(text) < 500
    assert text.isprintable()
    assert text.endswith("; and 2 more")


REFUSED = ResponseSample("bad_body", 200, (), JSON)
BUSY = ResponseSample("bad_status", 503, (), JSON)


def facts_of(second: LoadSecond, *parts: str) -> LoadFacts:
    return LoadFacts(
        "builtin",
        1,
        1,
        (second,),
        complete=True,
        clock="none",
        parts={name: PartFacts(share=0.5, planned=1) for name in parts},
    )


def test_samples_of_the_only_request_hold_the_checks_that_failed():
    load = Load.model_validate({"expect": {"json": {"$.total": 31}}})
    facts = facts_of(LoadSecond(0, samples=(REFUSED, BUSY)))

    (second,) = with_failed_checks(facts, load).seconds

    assert [sample.failed_checks for sample in second.samples] == [
        "$.total is 30; expect.json requires it to be 31",
        "",
    ]


def test_samples_of_a_mix_are_held_against_the_checks_of_their_request():
    expect = {"a": {"json": {"$.total": 31}}, "b": {"body_contains": "closed"}}
    load = Load.model_validate({"requests": [{"name": name, "expect": expect[name]} for name in "ab"]})
    sample = ResponseSample("bad_body", 200, (), JSON + " ")
    parts = {"a": LoadSecond(0, samples=(REFUSED,)), "b": LoadSecond(0, samples=(sample,))}

    (second,) = with_failed_checks(
        facts_of(LoadSecond(0, samples=(REFUSED,), parts=parts), "a", "b"), load
    ).seconds

    of_a = "$.total is 30; expect.json requires it to be 31"
    assert second.parts["a"].samples[0].failed_checks == of_a
    assert second.parts["b"].samples[0].failed_checks == "expect.body_contains requires 'closed'"
    assert second.samples[0].failed_checks == of_a


def test_facts_without_samples_stay_as_they_are():
    facts = facts_of(LoadSecond(0))

    assert with_failed_checks(facts, Load()) is facts
