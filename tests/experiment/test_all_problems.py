"""One run of `runner validate` lists every problem that can be found independently of the others."""

from __future__ import annotations

import pytest

from runner.core.errors import SpecificationError
from runner.experiment.load import read_spec

GOOD = """\
version: 1
name: shop
topology: {kind: external, url: "http://127.0.0.1:1"}
load:
  timeout: 1s
  variables:
    token: {env: TOKEN}
  requests:
    - {name: a, path: "/a/${token}"}
    - {name: b, path: "/b", weight: 2}
stages:
  - {name: x, rps: 10, duration: 1s}
  - {name: y, rps: 20, duration: 1s}
  - {rps: 30, duration: 1s}
thresholds:
  - duration{request=a}.p95 < 5ms
  - errors{request=b} < 1%
  - achieved >= 99%
"""
WRONG = {
    "a time": ("timeout: 1s", "timeout: fast", "5:12: load.timeout: "),
    "a variable": ("${token}", "${tokn}", "9:23: load.requests[0].path: there is no variable 'tokn'"),
    "a weight": ("weight: 2", "weight: many", "10:37: load.requests[1].weight: "),
    "a stage name": ("name: y", "name: x", "13:12: stages[1].name: "),
    "a rate": ("rps: 30", "rps: -1", "14:11: stages[2].rps: "),
    "a selector": ("request=a}", "request=c}", "16:5: thresholds[0]: there is no request 'c'"),
    "another selector": ("request=b}", "request=d}", "17:5: thresholds[1]: there is no request 'd'"),
    "a metric": ("achieved >=", "nonsense >=", "18:5: thresholds[2]: unknown metric"),
    "a key": ("name: shop", "name: shop\nnmae: x", "nmae: unknown key"),
}


def problems(text: str) -> list[str]:
    try:
        read_spec(text.encode(), source="shop.yaml")
    except SpecificationError as error:
        return [problem.partition("\n")[0] for problem in error.problems]
    return []


def test_the_file_without_mistakes_has_no_problem():
    assert problems(GOOD) == []


@pytest.mark.parametrize("first", WRONG)
@pytest.mark.parametrize("second", WRONG)
def test_two_mistakes_are_both_listed_and_nothing_else_is(first, second):
    text = GOOD
    names = dict.fromkeys((first, second))
    for name in names:
        old, new, _ = WRONG[name]
        text = text.replace(old, new)

    found = problems(text)

    assert len(found) == len(names), found
    for name in names:
        words = WRONG[name][2]
        if "a key" in names and name != "a key":  # the lines below move
            words = words.partition(":")[2].partition(":")[2]
        assert any(words in problem for problem in found), (name, found)


def test_all_mistakes_at_once_are_listed_with_line_and_column():
    text = GOOD
    for old, new, _ in (mistake for name, mistake in WRONG.items() if name != "a key"):
        text = text.replace(old, new)

    found = problems(text)

    expected = [words for name, (_, _, words) in WRONG.items() if name != "a key"]
    assert len(found) == len(expected), found
    for words, problem in zip(expected, found, strict=True):
        assert problem.startswith(f"shop.yaml:{words}")


@pytest.mark.parametrize(
    "changes",
    [
        {"timeout: 1s": "engine: k7\n  arrivals: constant\n  quantum: 1ms"},
        {"http://127.0.0.1:1": "http://192.0.2.1", "timeout: 1s": "allow_hosts: 7"},
        {"weight: 2": "method: GTE, body: x"},
        {"token: {env: TOKEN}": "token: {evn: TOKEN}"},
    ],
)
def test_a_wrong_value_leads_to_no_problem_with_what_fits_its_right_value(changes):
    text = GOOD
    for old, new in changes.items():
        text = text.replace(old, new)

    assert len(problems(text)) == 1, problems(text)
