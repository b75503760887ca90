"""Values that steps take out of responses, and conditions on them."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.load.captures import MAX_TEXT, Captures, Reading
from runner.load.conditions import all_hold
from runner.load.cookies import CookieJar
from runner.load.scenario_order import (
    MAX_VISITED,
    ChooseStep,
    Condition,
    ExtractOrder,
    ForEachStep,
    ProbabilityStep,
    RepeatStep,
    RequestStep,
)
from runner.load.scenario_program import End, Send, program
from runner.load.walk import CannotGoOn, Walk

HEAD = b"HTTP/1.1 200 OK\r\nX-To: /callback?code=a%20b&state=1\r\n\r\n"
FORM = b'<form action="/a?x=1&amp;y=2"><input name="csrf" value="&lt;1&gt;"><input name="csrf" value="2">'
CSRF = 'name="csrf" value="([^"]*)"'


class User(Walk):
    def __init__(self, number=1) -> None:
        super().__init__(number)
        self.jar = CookieJar()
        self.jar.store(b"\r\nSet-Cookie: sid=a.b.c\r\n", "here", "/", 1)


def taken(order: ExtractOrder, body=b"", head=HEAD, number=1):
    """Return the value that a user has afterwards, or why it has none."""
    user = User(number)
    reason = Captures("login", [order]).take(user, Reading(head, body, user.jar, 1))
    return reason or user.values.get(order.name)


@pytest.mark.parametrize(
    ("order", "body", "value"),
    [
        (ExtractOrder("v", json="$.a.b"), b'{"a": {"b": [1, {"c": null}]}}', [1, {"c": None}]),
        (ExtractOrder("v", json="$.a"), b'{"a": null}', None),
        (ExtractOrder("v", json="$.a[*]", pick="last"), b'{"a": [1, 2, 3]}', 3),
        (ExtractOrder("v", json="$.a", pick="all", entries=True), b'{"a": [1, 2]}', [1, 2]),
        (ExtractOrder("v", json="$.a", pick="last", entries=True), b'{"a": [1, 2]}', 2),
        (ExtractOrder("v", json="$.a", entries=True), b'{"a": [1, 2]}', 1),
        (ExtractOrder("v", json="$.a"), b'{"a": [1, 2]}', [1, 2]),
        (
            ExtractOrder("v", json="$.a[?@.n > 1]", pick="all", entries=True),
            b'{"a": [{"n": 1}, {"n": 2}]}',
            [{"n": 2}],
        ),
        (ExtractOrder("v", json="$.none", pick="all", entries=True), b"{}", []),
        (ExtractOrder("v", regex=CSRF), FORM, "<1>"),
        (ExtractOrder("v", regex=CSRF, pick="last"), FORM, "2"),
        (ExtractOrder("v", regex='action="([^"]*)"'), FORM, "/a?x=1&y=2"),
        (ExtractOrder("v", regex="form"), FORM, "form"),
        (ExtractOrder("v", header="x-to"), b"", "/callback?code=a%20b&state=1"),
        (ExtractOrder("v", header="x-to", regex="code=([^&]*)"), b"", "a%20b"),
        (ExtractOrder("v", cookie="sid"), b"", "a.b.c"),
        (ExtractOrder("v", cookie="sid", regex=r"\.(.)\."), b"", "b"),
        (ExtractOrder("v", json="$.a", default=(7,)), b"no JSON", 7),
        (ExtractOrder("v", json="$.a", optional=True), b"{}", None),
    ],
)
def test_a_value_is_taken(order, body, value):
    assert taken(order, body) == value


def test_compressed_bodies_are_decoded():
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    assert taken(ExtractOrder("v", json="$.a"), gzip.compress(b'{"a": 1}'), head) == 1
    damaged = taken(ExtractOrder("v", json="$.a"), b"\x1f\x8b damaged", head)
    assert damaged.startswith("`v` not found in the response to login: ")


@pytest.mark.parametrize(
    ("head", "body", "value"),
    [
        (b"Content-Type: text/html; charset=ISO-8859-1", "x=café".encode("latin-1"), "café"),
        (b'content-type: text/html;charset="windows-1251"', "x=да".encode("cp1251"), "да"),
        (b"Content-Type: text/html; charset=utf-8", "x=café".encode(), "café"),
        (b"Content-Type: text/html; charset=iso-8859-12", "x=café".encode(), "café"),
        (b"Content-Type: text/html; charset=unknown-1", "x=café".encode(), "café"),
    ],
)
def test_an_expression_reads_a_body_in_its_charset(head, body, value):
    response = b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % head
    assert taken(ExtractOrder("v", regex=r"x=(\S+)"), body, response) == value


@pytest.mark.parametrize(("value", "text"), [("/café".encode(), "/café"), (b"/caf\xe9", "/café")])
def test_a_header_beyond_ascii_is_utf8_if_it_can_be(value, text):
    response = b"HTTP/1.1 302 Found\r\nLocation: %b\r\n\r\n" % value
    assert taken(ExtractOrder("v", header="location"), b"", response) == text
    assert taken(ExtractOrder("v", header="location", regex="/(.*)"), b"", response) == text[1:]


NOT_FOUND = "`v` not found in the response to login"
IN_JSON = ExtractOrder("v", json="$.a")
FLOAT = "64-bit floating point"
HALF = f"{NOT_FOUND}: a text in the JSON of the body has half of a surrogate pair, which is no character"
TOO_MANY = (
    "$[?@ > 1] looks at too many values in the body: "
    "a filter may look at about 10,000 entries, a wildcard or '..' at 100,000 values"
)


@pytest.mark.parametrize(
    ("order", "body", "reason"),
    [
        (ExtractOrder("v", json="$.a"), b"<html>", f"{NOT_FOUND}: the body is not JSON"),
        (IN_JSON, b"[" * 10_000, f"{NOT_FOUND}: the JSON in the body is nested too deeply"),
        (IN_JSON, b" ", f"{NOT_FOUND}: the body is empty"),
        (IN_JSON, b'{"a": [1', f"{NOT_FOUND}: the JSON in the body is cut off"),
        (
            IN_JSON,
            b'{"a": 1, "b": 1e400}',
            f"{NOT_FOUND}: a number in the body is beyond the range of {FLOAT}",
        ),
        (IN_JSON, rb'{"a": 1, "b": "\ud83d"}', HALF),
        (IN_JSON, rb'{"a": 1, "b": "x\ud83d\u0041"}', HALF),
        (IN_JSON, rb'{"a": 1, "b": "\ude00"}', HALF),
        (IN_JSON, rb'{"a": 1, "b": "\ud83d and more"}', HALF),
        (ExtractOrder("v", json="$[?@ > 1]"), b"[" + b"0," * 20_000 + b"0]", f"{NOT_FOUND}: {TOO_MANY}"),
        (
            ExtractOrder("v", regex="x+"),
            b"x" * (MAX_TEXT + 1),
            "`v` in the response to login is longer than 64 KiB",
        ),
        (ExtractOrder("v", header="none"), b"", NOT_FOUND),
    ],
)
def test_what_cannot_be_taken_is_explained(order, body, reason):
    assert taken(order, body) == reason


def test_a_random_pick_depends_on_the_user():
    order = ExtractOrder("v", json="$[*]", pick="random", entries=True, key=5)
    picks = [taken(order, b"[1, 2, 3, 4]", number=number) for number in range(40)]
    assert set(picks) == {1, 2, 3, 4}
    assert picks == [taken(order, b"[1, 2, 3, 4]", number=number) for number in range(40)]


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"values": (10,)}, [10, 10.0]), ({"values": ("10",)}, ["10"]), ({"values": (True,)}, [True]),
        ({"values": ("10",), "as_text": True}, [10, "10"]), ({"min": 10}, [10, 10.0, "10", "10.5"]),
        ({"max": 9}, [1]), ({"matches": "^1"}, [10, 10.0, "10", 1, "10.5"]),
        ({}, [10, 10.0, "10", True, 1, "10.5", None, "x", "nan"]), ({"exists": False}, []),
    ],
)  # fmt: skip
def test_conditions(condition, holds):
    check = all_hold([Condition("v", **condition)])
    values = [10, 10.0, "10", True, 1, "10.5", None, "x", "nan"]
    passing = [value for value in values if check({"v": value})]
    assert list(map(repr, passing)) == list(map(repr, holds))
    assert check({}) is (condition == {"exists": False})


def test_all_conditions_must_hold():
    both = all_hold([Condition("a", values=(1, 2)), Condition("b", exists=False)])
    assert [both(values) for values in ({"a": 2}, {"a": 3}, {"a": 1, "b": 0}, {})] == [
        True,
        False,
        False,
        False,
    ]


def walked(steps, number=0, **values):
    """Return the names of the requests that a user sends."""
    walk, operations, names = User(number), program(steps), []
    walk.values.update(values)
    while not isinstance(operation := operations[walk.at], End):
        walk.executed += 1
        if isinstance(operation, Send):
            names.append(f"{operation.step.name}{walk.values.get('item', '')}")
            walk.at += 1
        else:
            walk.at = operation.follow(walk)
    assert walk.loops == []
    return names


def send(name):
    return RequestStep(name, 0)


def test_lists_are_visited_entry_by_entry_up_to_a_bound():
    loop = [ForEachStep("items", "item", (send("a"), RepeatStep(2, (send("b"),)))), send("c")]
    assert walked(loop, items=[1, 2]) == ["a1", "b1", "b1", "a2", "b2", "b2", "c"]
    assert walked(loop, items=[]) == walked(loop) == ["c"]
    assert len(walked(loop[:1], items=list(range(5000)))) == 3 * MAX_VISITED


def test_a_single_value_is_no_list_to_go_through():
    loop = [ForEachStep("items", "item", (send("a"),))]
    with pytest.raises(CannotGoOn, match="`items` is a single value, 'text', and no list that for_each can"):
        walked(loop, items="text")


def test_shares_of_random_branches_are_as_specified():
    steps = [
        ProbabilityStep(1, 0.3, (send("maybe"),)),
        ChooseStep(2, (1, 3), ((send("one"),), (send("three"),))),
    ]
    names = [name for number in range(4000) for name in walked(steps, number)]
    assert 0.27 < names.count("maybe") / 4000 < 0.33
    assert 0.22 < names.count("one") / 4000 < 0.28
    assert names.count("one") + names.count("three") == 4000


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 3))
def test_nested_loops_multiply(outer, inner, entries):
    body = (ForEachStep("items", "item", (send("a"),)), send("b"))
    names = walked([RepeatStep(outer, (RepeatStep(inner, body),))], items=list(range(entries)))
    assert len(names) == outer * inner * (entries + 1)
