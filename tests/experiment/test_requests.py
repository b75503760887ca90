"""Requests, mixes, variables and checks of a specification."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.errors import SpecificationError
from runner.experiment.k6_limits import javascript
from runner.experiment.load import read_spec
from runner.experiment.model import Configuration, Expect, Experiment, Load, NamedRequest, Stage
from runner.experiment.resolved import resolved_text
from runner.load.check_order import check_order
from runner.store.request_files import MAX_FILE, problem_with
from tests.experiment.samples import MINIMAL, PROCESS, error, only, read, sole, table

BARE = PROCESS.replace("load:\n  connection: new\n", "")

MIX = """\
version: 1
name: shop
topology: {kind: external, url: "http://127.0.0.1:8080"}
load:
  variables:
    token: {env: API_TOKEN}
  expect: {status: [2xx, 404]}
  requests:
    - {name: search, weight: 60, path: /search, query: {q: "blue ${token}", page: [1, 1.50]}}
    - name: order
      weight: 0.5
      method: POST
      path: /orders
      headers: {Authorization: "Bearer ${token}"}
      json: {sku: a-1, quantity: 2, gift: null, notes: ["$${x}", true, 1.5]}
      expect:
        status: [201]
        json: {$.state: accepted, "$['n']": {min: 1, max: 5}, $.error: {exists: false}, $.none: null}
        not_body_contains: '"errors"'
        headers: {Content-Type: {contains: json}, X-Version: 3}
    - {name: login, method: POST, form: {user: ada, pass: "${token}"}}
    - {name: picture, method: PUT, multipart: [{name: f, file: data/cat.png}, {name: t, value: 5}]}
    - {name: raw, method: PUT, body_file: data/body.bin}
stages: [{rps: 10, duration: 1s, thresholds: ["errors{request=order} < 0.1%"]}]
thresholds:
  - duration{request=search}.p95 < 200ms
"""


@pytest.mark.parametrize(("change", "problem"), table("requests"))
def test_an_invalid_request_is_refused_with_this_message(change: str, problem: str) -> None:
    (position,) = error(BARE, *change.split("; ")).positions
    hint = f" ({position.hint})" if position.hint else ""

    assert f"{position.path}: {position.message}{hint}" == problem


def test_a_mix_is_read_completely() -> None:
    configuration = only(MIX)
    search, order, login, picture, raw = configuration.load.parts

    assert configuration.load.is_mix
    assert [(part.name, part.weight) for part in configuration.load.parts] == [
        ("search", 60), ("order", 0.5), ("login", 1), ("picture", 1), ("raw", 1)
    ]  # fmt: skip
    assert search.query == {"q": ("blue ${token}",), "page": ("1", "1.50")}
    assert search.criteria == Expect(status=["2xx", 404])
    assert search.criteria.statuses == (*range(200, 300), 404)
    assert order.json_body["notes"] == ["$${x}", True, 1.5]
    assert order.criteria.statuses == (201,)
    assert order.criteria.body_checks == ("not_body_contains", "json")
    assert (order.criteria.json_checks["$.none"], order.criteria.headers["X-Version"]) == (None, "3")
    assert login.form == {"user": ("ada",), "pass": ("${token}",)}
    assert (picture.files, raw.files) == (("data/cat.png",), ("data/body.bin",))
    assert configuration.criteria_of(configuration.stages[0])[1].request == "order"


def test_a_load_without_a_mix_has_one_part_without_a_name() -> None:
    load = Load(request={"method": "PUT", "path": "/a", "json": {"b": 1}}, expect={"status": [204]})
    (part,) = load.parts

    assert not load.is_mix
    assert (part.name, part.method, part.json_body, part.criteria.statuses) == ("", "PUT", {"b": 1}, (204,))


def test_the_resolved_specification_is_the_same_experiment() -> None:
    experiment = read(MIX)
    text = resolved_text(experiment)

    assert read(text) == experiment
    assert "request:" not in text
    assert "json_body" not in text
    assert "requests:" not in resolved_text(read(MINIMAL))
    assert Experiment.model_validate(json.loads(experiment.model_dump_json())) == experiment


def test_an_experiment_with_a_mix_can_be_stored() -> None:
    load = only(MIX).load

    assert "request" not in load.model_dump()
    assert Load.model_validate(load.model_dump()) == load


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3)
    ),
    max_leaves=8,
).filter(lambda value: value is not None)


@given(VALUES)
def test_any_json_value_is_read_unchanged(value: Any) -> None:
    escaped = json.loads(json.dumps(value).replace("${", "$${"))
    text = MINIMAL + "load: " + json.dumps({"request": {"json": escaped}}) + "\n"

    assert only(text).load.request.json_body == escaped
    assert read(resolved_text(read(text))) == read(text)


def test_a_variable_that_only_one_configuration_uses_is_used() -> None:
    text = MINIMAL + (
        "load: {variables: {a: {env: A}}}\n"
        "configurations:\n"
        "  - {name: with, load: {request: {path: '/${a}'}}}\n"
        "  - {name: without}\n"
    )
    assert len(read(text).configurations) == 2

    (position,) = error(text.replace("'/${a}'", "/b")).positions
    assert (position.line, position.path) == (5, "load.variables.a")


def test_a_configuration_can_replace_the_request_by_a_mix() -> None:
    text = MINIMAL + (
        "load: {request: {path: /a}}\n"
        "configurations: [{name: mix, load: {request: null, requests: [{name: a}, {name: b}]}}]\n"
    )
    assert only(text).load.is_mix
    (position,) = error(text.replace("request: null, ", "")).positions
    assert position.message == "cannot be combined with requests"


def test_a_problem_points_at_the_text_with_the_variable() -> None:
    assert sole(MIX.replace('"Bearer ${token}"', '"Bearer ${tokn}"')) == (
        "spec.yaml:14:32: load.requests[1].headers.Authorization: "
        "there is no variable 'tokn' in load.variables\n"
        '  14 |       headers: {Authorization: "Bearer ${tokn}"}\n'
        "     |                                ^^^^^^^^^^^^^^^^\n"
        "  did you mean 'token'?"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.bin").write_bytes(b"a")
    (tmp_path / "out").symlink_to("/etc")
    (tmp_path / "link.bin").symlink_to("data/a.bin")
    (tmp_path / "loop").symlink_to("loop")
    with (tmp_path / "huge.bin").open("wb") as huge:
        huge.truncate(MAX_FILE + 1)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("data/a.bin", ""),
        ("./data//a.bin", ""),
        ("link.bin", ""),
        ("data/b.bin", "there is no file data/b.bin in the specification's folder"),
        ("data", "data is not a regular file"),
        ("out/passwd", ""),
        ("/etc/passwd", ""),
        ("data/../../nothing", "there is no file data/../../nothing (sought as {parent}/nothing)"),
        ("/nothing", "there is no file /nothing"),
        ("/dev/null", "/dev/null is not a regular file"),
        ("/proc/self/environ", "/proc/self/environ is not a regular file"),
        ("..", ".. is not a regular file"),
        ("loop", "cannot read loop: Too many levels of symbolic links"),
        ("x" * 300, f"cannot read {'x' * 300}: File name too long"),
        ("huge.bin", "huge.bin is larger than 64 MiB"),
        ("data/a.bin/x", "there is no file data/a.bin/x in the specification's folder"),
    ],
)
def test_a_file_is_looked_for_when_the_specification_is_read(path: str, problem: str, folder: Path) -> None:
    text = MINIMAL + f"load: {{request: {{multipart: [{{name: a, file: {path}}}]}}}}\n"
    file_problem = partial(problem_with, folder=folder)

    assert only(text).load.request.files == (path,)
    if not problem:
        read_spec(text.encode(), source="spec.yaml", file_problem=file_problem)
        return
    with pytest.raises(SpecificationError) as caught:
        read_spec(text.encode(), source="spec.yaml", file_problem=file_problem)
    (position,) = caught.value.positions
    problem = problem.format(parent=folder.parent)
    assert (position.line, position.column, position.message) == (5, 46, problem)


def test_a_hundred_requests_are_allowed() -> None:
    requests = [NamedRequest(name=f"r{n}") for n in range(101)]

    assert len(Load(requests=requests[:100]).parts) == 100
    with pytest.raises(ValueError, match="at most 100"):
        Load(requests=requests)


@pytest.mark.parametrize(
    ("pattern", "translated"),
    [
        ("order [0-9]+", "order [0-9]+"),
        (r"a.b\.c", r"a[^\n]b\.c"),
        (r"^(?:a|b){2,3}?\d$", r"^(?:a|b){2,3}?\d$"),
        (r"[^a\]]x", r"[^a\]]x"),
        ("ü+", "ü+"),
    ],
)
def test_k6_gets_a_regular_expression_that_means_the_same(pattern: str, translated: str) -> None:
    assert javascript(pattern) == translated


@pytest.mark.parametrize(
    "pattern",
    [
        "(?i)a",
        "(?P<n>a)",
        r"\pL",
        r"\Aa",
        r"a\z",
        "[[:alpha:]]",
        r"\Qa\E",
        r"\s",
        "a**",
        "^*",
        "[]a]",
        "(?s).",
        "a{2}{3}",
    ],
)
def test_a_regular_expression_that_javascript_reads_differently_is_not_translated(pattern: str) -> None:
    assert javascript(pattern) is None


def test_a_stages_own_thresholds_come_after_those_of_all() -> None:
    configuration: Configuration = only(MIX)
    stage = configuration.stages[0]
    assert isinstance(stage, Stage)

    assert [one.expr for one in configuration.criteria_of(stage)] == [
        "duration{request=search}.p95 < 200ms",
        "errors{request=order} < 0.1%",
    ]


@pytest.mark.parametrize(
    ("expect", "place", "literal"),
    [
        ({"body_contains": "a ${id}"}, "expect.body_contains", "$${"),
        ({"body_contains": ["a", "${"]}, "expect.body_contains[1]", "$${"),
        ({"not_body_contains": "${id}"}, "expect.not_body_contains", "$${"),
        ({"body_matches": "x${id}"}, "expect.body_matches", "[$][{]"),
        ({"json": {"$.id": "${id}"}}, "expect.json", "$${"),
        ({"json": {"$.ids": ["a", "${id}"]}}, "expect.json", "$${"),
        ({"headers": {"X-Id": "${id}"}}, "expect.headers.X-Id", "$${"),
        ({"headers": {"X-Id": {"contains": "${id}"}}}, "expect.headers.X-Id.contains", "$${"),
        ({"headers": {"X-Id": {"matches": "^${id}"}}}, "expect.headers.X-Id.matches", "[$][{]"),
    ],
)
def test_checks_have_no_variables(expect: dict[str, object], place: str, literal: str) -> None:
    text = MINIMAL + f"load: {json.dumps({'variables': {'id': {'uuid': 'v4'}}, 'expect': expect})}\n"
    problem = sole(text)

    assert f"load.{place}" in problem
    assert "expect has no variables" in problem
    assert f"write {literal} for a literal ${{" in problem


def test_an_escaped_opening_is_compared_as_it_is_received() -> None:
    expect = {"body_contains": "a$${b}", "json": {"$.c": ["$${d}", 1]}, "headers": {"E": "$${f}"}}
    order = check_order(Expect.model_validate(expect))

    assert order.contains == (b"a${b}",)
    assert order.json[0].value == (["${d}", 1],)
    assert order.headers[0].equals == "${f}"


def test_users_can_send_rows_in_order_but_not_each_once() -> None:
    text = (
        "version: 1\nname: u\ntopology: {kind: external, url: 'http://127.0.0.1:1'}\n"
        "load:\n  variables: {r: {command: [seq, '3'], order: ORDER}}\n  request: {path: '/${r}'}\n"
        "stages: [{users: 2, duration: 1s}]\n"
    )
    assert read(text.replace("ORDER", "sequential")).configurations[0].load.variables["r"].is_counted
    problem = sole(text.replace("ORDER", "once"))
    assert (
        "load.variables.r.order: cannot be once, because users send as many requests as they get" in problem
    )
    assert "use sequential or random" in problem
