"""Scenarios of a specification: what can be written, and which values a step may insert."""

from __future__ import annotations

import pytest

from runner.cli.requests_text import lines_of
from runner.experiment.arrivals import arrivals, rows_used
from runner.experiment.load import read_spec
from runner.experiment.model import Load, Stage
from runner.experiment.resolved import resolved_text
from runner.experiment.scenario import StepKind
from runner.experiment.scenario_counts import requests_per_user
from runner.experiment.scenario_stages import warnings
from runner.experiment.variables import RowFacts
from tests.experiment.samples import MINIMAL, SCENARIOS, error, only, read, sole, table

SMALL = """\
version: 1
name: shop
topology: {kind: external, url: "http://127.0.0.1:8080"}
load:
  variables: {user: {choice: [ada, bob]}}
  requests: [{name: front}]
  scenarios:
    - name: buy
      weight: 3
      steps:
        - request: {name: login, method: POST, form: {user: "${user}"}}
          extract: {token: {json: $.token}}
        - request: {name: pay, path: "/${token}"}
        - request: front
        - pause: 1s
    - name: look
      steps: [{request: front}, {pause: 1s}]
stages: [{users_per_s: 4, duration: 10s}]
"""

LOOK = "steps: [{request: front}, {pause: 1s}]"


@pytest.mark.parametrize(("change", "problem"), table("scenarios"))
def test_an_invalid_scenario_is_refused_with_this_message(change: str, problem: str) -> None:
    (position,) = error(SMALL, *change.split("; ")).positions
    hint = f" ({position.hint})" if position.hint else ""

    assert f"{position.path}: {position.message}{hint}" == problem


def test_scenarios_are_read_completely() -> None:
    configuration = only(SCENARIOS)
    load = configuration.load
    ramp, closed = configuration.stages
    steps = load.scenarios[0].steps

    assert isinstance(ramp, Stage)
    assert isinstance(closed, Stage)
    assert [(part.name, part.follow_redirects, part.criteria.status) for part in load.parts] == [
        ("buy/login", 3, (302,)), ("buy/home", 0, ("2xx",)), ("buy/home-again", 0, ("2xx",)),
        ("buy/rate", 3, ("2xx",)), ("buy/card", 3, ("2xx",)), ("buy/bill", 3, ("2xx",)),
        ("buy/thanks", 3, ("2xx",)), ("buy/item", 3, ("2xx",)), ("buy/code", 3, ("2xx",)),
        ("buy/piece", 3, ("2xx",)),
    ]  # fmt: skip
    assert (steps[3].pause, steps[4].probability) == ((1.0, 3.0), 0.3)
    assert [step.kind for step in steps[6:]] == [
        StepKind.REQUEST, StepKind.FOR_EACH, StepKind.IF, StepKind.REPEAT
    ]  # fmt: skip
    assert (ramp.name, ramp.user_rate, ramp.highest_user_rate, ramp.warmup_user_rate) == (
        "1 to 20 users/s", 10.5, 20, 1
    )  # fmt: skip
    assert (ramp.target_rps, ramp.highest_rps, closed.user_rate, closed.most_users) == (None, 0, None, 50)
    assert arrivals(load, ramp) == 110
    assert requests_per_user(steps) == (6, 1107)
    assert [threshold.request for threshold in configuration.thresholds] == ["buy", "buy/login", "login"]


def test_the_resolved_specification_with_scenarios_is_the_same_experiment() -> None:
    experiment = read(SCENARIOS)
    text = resolved_text(experiment)

    assert read(text) == experiment
    assert "pause: 250ms" in text
    assert "bytes: 64KiB" in text
    assert type(experiment).model_validate_json(experiment.model_dump_json()) == experiment


def test_specifications_without_scenarios_do_not_mention_them() -> None:
    text = resolved_text(read(MINIMAL))

    assert "scenarios" not in text
    assert "follow_redirects" not in text


def test_a_dry_run_describes_scenarios_step_by_step() -> None:
    names = "token, csrf, code, sid, items, state, offset"

    assert list(lines_of(only(SCENARIOS).load)) == [
        "buy: 100 % of the users, 6 to 1,107 requests each",
        f"  login: POST /; expects status 302; follows up to 3 redirects; extracts {names}",
        "  home: GET /?t=${token}; expects status 2xx",
        "  home-again: GET /?t=${token}; expects status 2xx",
        "  pause of 1s to 3s",
        "  with a probability of 30 %:",
        "    rate: GET /${n}/${csrf}; expects status 2xx; follows up to 3 redirects",
        "  one of:",
        "    75 %:",
        "      card: GET /; expects status 2xx; follows up to 3 redirects; extracts paid",
        "    25 %:",
        "      bill: GET /; expects status 2xx; follows up to 3 redirects; extracts paid",
        "  thanks: GET /${paid}; expects status 2xx; follows up to 3 redirects",
        "  for each entry of items, as item:",
        "    item: GET /; expects status 2xx; follows up to 3 redirects",
        "  if state is 'open' or 1.5 or empty and code has a value:",
        "    code: GET ${code}; expects status 2xx; follows up to 3 redirects",
        "  otherwise:",
        "    pause of 250ms",
        "  up to 100 times, until offset is at least 100:",
        "    piece: GET /; expects status 2xx; follows up to 3 redirects; extracts offset",
        "variable n: int, a new value for each request",
    ]


@pytest.mark.parametrize(
    ("key", "value", "path"),
    [
        ("connection", "per-user", "load.connection"),
        ("follow_redirects", "2", "load.follow_redirects"),
        ("requests", "[{name: a, url: 'http://x'}]", "load.requests[0].url"),
        ("requests", "[{name: a, follow_redirects: 1}]", "load.requests[0].follow_redirects"),
        ("variables", "{a: {int: [1, 2], scope: user}}", "load.variables.a.scope"),
    ],
)
def test_what_belongs_to_scenarios_is_refused_elsewhere(key: str, value: str, path: str) -> None:
    assert path in [one.path for one in error(MINIMAL, f"load.{key}={value}").positions]


def test_users_per_second_need_scenarios() -> None:
    problem = sole(MINIMAL.replace("rps: 10", "users_per_s: 10"))

    assert "stages[0].users_per_s: starts scenarios, but load has none" in problem


def test_a_threshold_on_scenarios_needs_scenarios() -> None:
    assert "no scenarios in load" in sole(MINIMAL + "thresholds: [scenario_errors < 1%]\n")


def test_a_step_that_contains_itself_is_refused() -> None:
    problem = sole(SMALL.replace(LOOK, "steps: &s [{repeat: 2, steps: *s}]"))

    assert "the alias '*s' contains itself" in problem


def test_steps_that_go_too_deep_or_too_far_are_refused() -> None:
    step = "{request: front}"
    for _ in range(8):
        step = f"{{repeat: 4, steps: [{step}]}}"
    deep = error(SMALL.replace(LOOK, f"steps: [{step}]")).positions

    assert {position.message for position in deep} == {
        "is nested deeper than 8 levels of steps",
        "one user executes up to 65,536 steps, but at most 10,000 are possible",
    }


def test_too_many_steps_are_refused() -> None:
    pauses = "{pause: 1s}, " * 100
    many = f"steps: [{{request: front}}, {{repeat: 1, steps: [{pauses}]}}, {{repeat: 1, steps: [{pauses}]}}]"
    (position,) = error(SMALL.replace(LOOK, many)).positions

    assert position.message == "should have at most 200 steps, those inside others included, not 203"


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("http://other.example/x", "other.example"),
        ("HTTPS://u:p@Other.Example:444", "other.example"),
        ("http://[2001:db8::1]/", "2001:db8::1"),
        ("http://127.0.0.1:9999/x", ""),
        ("http://allowed.example/", ""),
        ("http://${token}.example/", ""),
        ("//other.example", ""),
    ],
)
def test_a_url_that_is_written_out_leads_to_an_allowed_host(url: str, refused: str) -> None:
    spec = SMALL.replace('path: "/${token}"', f'url: "{url}"', 1).replace(
        "load:\n", "load:\n  allow_hosts: [allowed.example]\n"
    )
    if not refused:
        assert read(spec).configurations
        return
    (position,) = error(spec).positions
    assert position.path == "load.scenarios[0].steps[1].request.url"
    assert (
        position.message
        == f"leads to '{refused}', which is neither the target's host nor in load.allow_hosts"
    )


def test_a_name_of_a_hook_or_of_a_service_cannot_be_extracted() -> None:
    hooks = "hooks: {setup: [{request: {path: /}, extract: {token: {json: $.id}}}]}\n"
    assert "'token' is extracted by a hook already" in error(SMALL + hooks).problems[0]

    watched = SMALL.replace('"}\n', '", watch: {token: {port: 5432}}}\n', 1)
    assert "'token' is a service, whose address is ${token.host}" in sole(watched)


def test_a_step_inserts_what_a_hook_extracts() -> None:
    hooks = "hooks: {setup: [{request: {path: /}, extract: {org: {json: $.id}}}]}\n"

    assert only(SMALL.replace("/${token}", "/${org}") + hooks).load.parts[1].path == "/${org}"


def test_rows_are_counted_per_user_of_the_scenarios_that_use_them() -> None:
    rows = SMALL.replace("user: {choice: [ada, bob]}", "user: {csv: u.csv, order: once}")
    rows = rows.replace("${user}", "${user.name}")
    (configuration,) = read_spec(rows.encode(), source="s").configurations
    load = configuration.load

    assert rows_used(load, "user", [(40, 1)]) == 30
    with pytest.raises(Exception, match="1 problem") as caught:
        read_spec(rows.encode(), source="s", read_rows=lambda *_: RowFacts(29))
    assert "needs a row for each user: u.csv has 29, but 30 users use user" in caught.value.problems[0]
    read_spec(rows.encode(), source="s", read_rows=lambda *_: RowFacts(30))


def test_an_overlay_replaces_scenarios_and_keeps_the_requests() -> None:
    text = SMALL + (
        "configurations:\n  - name: one\n"
        "  - name: two\n    load: {scenarios: [{name: only, steps: [{request: front}]}], variables: null}\n"
    )
    one, two = read(text).configurations

    assert [part.name for part in one.load.parts] == ["buy/login", "buy/pay", "buy/front", "look/front"]
    assert [part.name for part in two.load.parts] == ["only/front"]
    assert read(text, "load.scenarios.buy.weight=9").configurations[0].load.scenario_shares["buy"] == 0.9


def test_a_load_with_one_of_its_scenarios_is_still_a_load() -> None:
    load = only(SMALL).load
    alone: Load = load.model_copy(update={"scenarios": load.scenarios[1:]})

    assert [part.name for part in alone.parts] == ["look/front"]


def test_a_scenario_that_no_user_can_complete_is_warned_of():
    long = SMALL.replace("{pause: 1s}]", "{pause: 21s}]")

    assert list(warnings(read(SMALL))) == []
    (sentence,) = warnings(read(long))
    assert sentence.startswith(
        "shop · 4 users/s: no user of look can complete: its pauses take at least 21s, "
    )
