"""Users of a scenario that the specification accepts have a value for every name that a step inserts.

Users walk through the operations of the engine, and take values out of responses that have them or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from random import Random
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from runner.core import template
from runner.experiment.model import Load
from runner.experiment.scenario_counts import most_executed, requests_per_user
from runner.load.captures import Captures, Reading
from runner.load.cookies import CookieJar
from runner.load.scenario_program import End, Jump, Pause, Send, program
from runner.load.scenario_translation import scenario_order
from runner.load.walk import Walk
from tests.load.test_scenario_translation import order

NAMES = ("a", "b")
BODIES = (b'{"x": 1, "xs": [1, 2]}', b'{"x": 1}', b'{"xs": [3]}')


def request(use: str | None, extract: str | None, how: dict[str, Any]) -> dict[str, Any]:
    step: dict[str, Any] = {"request": {"path": f"/${{{use}}}" if use else "/"}}
    source = {"json": "$.xs", "pick": "all"} if extract == "list" else {"json": "$.x", **how}
    return {**step, "extract": {extract: source}} if extract else step


USES = st.none() | st.sampled_from(NAMES)
HOW = st.sampled_from([{}, {"optional": True}, {"optional": True}, {"default": 1}])
REQUESTS = st.builds(request, USES, USES, HOW)
CONDITIONS = st.dictionaries(
    st.sampled_from(NAMES), st.sampled_from([1, {"exists": True}, {"exists": False}]), min_size=1
)
"""On names that may have a value, or never."""


def around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    steps = st.lists(inner, min_size=1, max_size=3)
    branch = st.fixed_dictionaries({"steps": steps})
    return st.one_of(
        st.fixed_dictionaries({"repeat": st.integers(1, 3), "steps": steps}, optional={"until": CONDITIONS}),
        st.fixed_dictionaries({"probability": st.just(0.5), "steps": steps}),
        st.fixed_dictionaries({"choose": st.lists(branch, min_size=2, max_size=3)}),
        st.fixed_dictionaries({"for_each": st.just("list"), "as": st.just("entry"), "steps": steps}),
        st.fixed_dictionaries({"if": CONDITIONS, "steps": steps}, optional={"else": steps}),
    )


def named(steps: list[dict[str, Any]], numbers: Iterator[int]) -> list[dict[str, Any]]:
    """Return steps whose requests have names of their own."""
    return [_named(step, numbers) for step in steps]


def _named(step: dict[str, Any], numbers: Iterator[int]) -> dict[str, Any]:
    step = {key: named(step[key], numbers) if key in {"steps", "else"} else step[key] for key in step}
    if "choose" in step:
        step["choose"] = [_named(branch, numbers) for branch in step["choose"]]
    if "request" in step:
        step["request"] = {**step["request"], "name": f"r{next(numbers)}"}
    return step


def accepted(steps: list[dict[str, Any]]) -> Load | None:
    try:
        return Load(scenarios=[{"name": "s", "steps": named(steps, count())}])
    except ValidationError:
        return None


def walked(load: Load, number: int, bodies: Random) -> tuple[int, bool]:
    """Return how many requests a user sends, and whether it comes to the end; it has all it sends."""
    described = scenario_order(order(load))
    assert described
    operations, walk, sent = program(described.scenarios[0].steps), Walk(number), 0
    while not isinstance(operation := operations[walk.at], End):
        walk.executed += 1
        if isinstance(operation, Jump):
            walk.at = operation.follow(walk)
            continue
        walk.at += 1
        if isinstance(operation, Send):
            step, sent = operation.step, sent + 1
            assert set(template.names(load.parts[step.request].path)) <= walk.values.keys()
            reading = Reading(b"", bodies.choice(BODIES), CookieJar(), 0)
            if Captures(step.name, step.extracts).take(walk, reading):
                return sent, False
        else:
            assert isinstance(operation, Pause)
    return sent, True


@settings(max_examples=30, deadline=None)
@example([request(None, "a", {}), {"repeat": 3, "steps": [request("a", "a", {"optional": True})]}], Random(0))
@given(
    st.lists(st.recursive(REQUESTS, around, max_leaves=6), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_users_of_an_accepted_scenario_have_every_value_that_they_send(steps: Any, bodies: Random) -> None:
    first = [request(None, name, {"optional": True}) for name in (*NAMES, "list")]
    last = [{"if": {"b": {"exists": True}}, "steps": [request("b", None, {})]}]
    ends = ([], [request("a", None, {})], [request("b", None, {})])
    for load in filter(None, (accepted([*first, *steps, *end, *last]) for end in ends)):
        fewest, most = requests_per_user(load.scenarios[0].steps)
        for number in range(8):
            sent, complete = walked(load, number, bodies)
            assert sent <= most
            assert sent >= fewest or not complete


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.recursive(
            st.builds(
                request, st.none() | st.sampled_from(NAMES), st.none() | st.sampled_from(NAMES), st.just({})
            ),
            lambda inner: st.fixed_dictionaries(
                {"repeat": st.integers(2, 3), "steps": st.lists(inner, min_size=1, max_size=3)}
            ),
            max_leaves=5,
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_scenario_without_branches_is_refused_only_if_a_user_lacks_a_value(steps: Any) -> None:
    load = accepted(steps)
    without_uses = accepted(_replaced(steps))

    assert without_uses
    if load is None:
        assert _lacks(named(steps, count()))
    else:
        scenario = load.scenarios[0]
        assert walked(load, 0, Random(0))[0] <= most_executed(scenario.steps)
        assert not _lacks(named(steps, count()))


def _replaced(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return steps that insert nothing."""
    return [
        {**step, "steps": _replaced(step["steps"])} if "steps" in step else {**step, "request": {"path": "/"}}
        for step in steps
    ]


def _lacks(steps: list[dict[str, Any]]) -> bool:
    """Return whether a name is inserted before it is extracted, as the steps stand in the file."""
    known: set[str] = set()
    for step in _flat(steps):
        if set(template.names(step["request"]["path"])) - known:
            return True
        known |= set(step.get("extract", ()))
    return False


def _flat(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for step in steps:
        yield from _flat(step["steps"]) if "steps" in step else (step,)
