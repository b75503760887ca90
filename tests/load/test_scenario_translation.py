"""From a specification's scenarios to what users send."""

import os
import signal

import pytest
import trio
from msgspec.structs import replace

from runner.core.endpoint import Endpoint
from runner.core.load_facts import UNFINISHED, LoadSecond
from runner.experiment.arrivals import Numbering
from runner.experiment.model import Load, Stage
from runner.load import scenario_order as orders
from runner.load.builtin import offer
from runner.load.engine import LoadOrder
from runner.load.expected_rate import expected_rate, mean_requests
from runner.load.inputs import Inputs
from runner.load.scenario_accounts import interrupted_counts
from runner.load.scenario_translation import scenario_order
from tests.load.scenario_stage import Server, ok
from tests.servers.scripted import scripted

LOGIN = {
    "request": {"name": "login", "method": "POST", "path": "/login", "headers": {"cookie": "a=b"}},
    "extract": {
        "token": {"json": "$.token"},
        "items": {"json": "$.items", "pick": "all"},
        "next": {"header": "Location", "regex": "id=([0-9]+)", "optional": True},
        "any": {"json": "$.items", "pick": "random", "default": 0},
    },
}
STEPS = [
    LOGIN,
    {"pause": ["1s", "3s"]},
    {
        "repeat": 4,
        "until": {"token": "done"},
        "steps": [{"request": "home", "extract": {"state": {"json": "$.n"}}}],
    },
    {"probability": "30%", "steps": [{"pause": "1s"}]},
    {"choose": [{"weight": 2, "steps": [{"pause": "1s"}]}, {"steps": [{"pause": "2s"}]}]},
    {"for_each": "items", "as": "item", "steps": [{"request": {"name": "item", "url": "${item}"}}]},
    {"if": {"next": [10, "x"], "any": {"min": 3}}, "steps": [{"pause": "1s"}], "else": [{"pause": "2s"}]},
]


def load(steps=STEPS, **changes) -> Load:
    keys = {"scenarios": [{"name": "visit", "steps": steps}], "requests": [{"name": "home"}]} | changes
    return Load(**{"follow_redirects": 2} | {key: value for key, value in keys.items() if value != ()})


def order(of: Load, port: int = 1, **stage) -> LoadOrder:
    level = stage or {"users_per_s": 10}
    return LoadOrder(Endpoint("127.0.0.1", port), of, Stage(**{"duration": 1, **level}))


def test_each_kind_of_step_is_translated():
    described = scenario_order(order(load()))
    login, pause, repeat, probably, choose, each, condition = described.scenarios[0].steps
    token, items, following, any_ = login.extracts
    assert (login.name, login.request, login.follow, login.own_cookies, login.url) == (
        "login",
        0,
        2,
        True,
        False,
    )
    assert (token, items) == (
        orders.ExtractOrder("token", json="$.token"),
        orders.ExtractOrder("items", json="$.items", pick="all", entries=True),
    )
    assert following == orders.ExtractOrder("next", header="location", regex="id=([0-9]+)", optional=True)
    assert any_ == orders.ExtractOrder(
        "any", json="$.items", pick="random", entries=True, key=any_.key, default=(0,)
    )
    assert isinstance(pause, orders.PauseStep)
    assert (pause.low_ns, pause.high_ns) == (1_000_000_000, 3_000_000_000)
    home = orders.RequestStep("home", 1, (orders.ExtractOrder("state", json="$.n"),), 2)
    assert repeat == orders.RepeatStep(4, (home,), (orders.Condition("token", values=("done",)),))
    assert isinstance(probably, orders.ProbabilityStep)
    assert probably.probability == pytest.approx(0.3)
    assert isinstance(choose, orders.ChooseStep)
    assert choose.weights == (2, 1)
    assert each == orders.ForEachStep("items", "item", (orders.RequestStep("item", 2, follow=2, url=True),))
    assert isinstance(condition, orders.IfStep)
    assert condition.conditions == (
        orders.Condition("next", values=("10", "x"), as_text=True),
        orders.Condition("any", min=3),
    )
    assert len({step.key for step in (pause, probably, choose, any_, condition.steps[0])}) == 5


def test_random_choices_depend_on_the_seed_and_the_place():
    one, same = (scenario_order(order(load(seed=1))) for _ in range(2))
    other = scenario_order(order(load(seed=2)))
    assert one == same
    assert one.scenarios[0].steps[1] != other.scenarios[0].steps[1]


def test_the_expected_rate_counts_what_users_send():
    steps = [
        {"request": {"name": "a"}},
        {"repeat": 4, "steps": [{"request": {"name": "b"}}]},
        {"probability": 0.5, "steps": [{"request": {"name": "c"}}]},
        {"choose": [{"weight": 3, "steps": [{"request": {"name": "d"}}]}, {"steps": [{"pause": "1s"}]}]},
    ]
    of = load(steps, requests=())
    assert mean_requests(of) == 1 + 4 + 0.5 + 0.75
    assert expected_rate(of, Stage(users_per_s=10, duration=1)) == pytest.approx(62.5)


async def facts_of(made: LoadOrder, on_spawn=lambda _: None):
    return await offer(made, on_spawn=on_spawn, on_second=lambda _: None)


async def test_facts_of_all_workers_name_scenarios_and_steps():
    server = Server({"/login": ok('{"token": "done", "items": ["/x"]}'), "/": ok('{"n": 1}')})
    with scripted(server) as port:
        steps = [LOGIN, *STEPS[2:3], STEPS[5]]
        facts = await facts_of(order(load(steps, workers=2), port, users_per_s=20, duration=0.5))
    visit = facts.scenarios["visit"]
    assert (visit.planned, visit.share, visit.steps) == (10, 1.0, ("visit/login", "visit/home", "visit/item"))
    assert visit.backlog.sums[0] == facts.backlog.sums[0] == 10
    assert facts.planned == len(server.log) == 30
    assert {name: part.planned for name, part in facts.parts.items()} == dict.fromkeys(visit.steps, 10)
    assert sum(second.scenarios["visit"].succeeded for second in facts.seconds) == 10


async def test_each_user_has_the_next_row_and_requests_have_values_of_their_own():
    server = Server()
    step = {"request": {"name": "a", "path": "/${n}/${u}/${r}"}}
    variables = {
        "n": {"counter": {"start": 5}},
        "u": {"int": [1, 10**9]},
        "r": {"int": [1, 10**9], "scope": "request"},
    }
    with scripted(server) as port:
        again = {"request": {**step["request"], "name": "b"}}
        of = load([step, again], requests=(), variables=variables, workers=2)
        await facts_of(order(of, port, users_per_s=20, duration=0.5))
    sent = sorted(line.split("/")[1:] for line in server.received())
    assert sorted(int(number) for number, _, _ in sent) == sorted([*range(5, 15)] * 2)
    assert len({user for _, user, _ in sent}) == 10
    assert len({value for _, _, value in sent}) == 20


async def test_what_a_dead_worker_lost_is_counted_as_dropped():
    pids, ended = [], []
    of = load([{"request": {"name": "a"}}, {"pause": "2s"}], requests=(), workers=2, timeout="3s")
    with scripted(Server()) as port:
        made = order(of, port, users_per_s=40, duration=1)

        async def run(task_status) -> None:
            ended.append(
                await offer(made, on_spawn=pids.append, on_second=lambda _: None, task_status=task_status)
            )

        async with trio.open_nursery() as nursery:
            await nursery.start(run)
            await trio.sleep(0.6)
            os.kill(pids[0], signal.SIGKILL)
    (facts,) = ended
    (sentence,) = facts.lost_workers
    assert sentence.startswith("generator worker 1 was ended by signal 9")
    assert sentence.endswith("of its 20 users are lost")
    users = [second.scenarios["visit"] for second in facts.seconds if "visit" in second.scenarios]
    scheduled, sent, succeeded, dropped = (
        sum(getattr(one, name) for one in users) for name in ("scheduled", "sent", "succeeded", "dropped")
    )
    failed = sum(sum(one.failures.values()) for one in users)
    assert scheduled == facts.scenarios["visit"].planned == sent + dropped == 40
    assert sent == succeeded + failed
    assert dropped >= 1


def test_who_is_under_way_when_a_stage_is_cut_short_is_unfinished():
    of = load([{"request": {"name": "a"}}, {"pause": "2s"}], requests=())
    users = LoadSecond(0, scheduled=9, sent=8, dropped=1, succeeded=3, failures={"timeout": 1})
    requests = LoadSecond(0, scheduled=8, sent=8, succeeded=5, failures={"timeout": 1})
    second = replace(requests, parts={"visit/a": requests}, scenarios={"visit": users})
    counts = interrupted_counts(of, [second, LoadSecond(1)])
    ended = [one.scenarios["visit"].failures for one in counts.seconds]
    assert ended == [{"timeout": 1}, {UNFINISHED: 4}]
    assert (counts.planned, counts.scenarios["visit"].planned, counts.parts["visit/a"].planned) == (8, 9, 8)
    for requests in (counts.seconds[0], counts.seconds[0].parts["visit/a"]):
        assert (requests.sent, requests.dropped) == (6, 2)


def test_a_part_of_a_file_is_sent():
    of = load([{"request": {"name": "a", "method": "PUT", "path": "/x", "body_file": "f",
                            "body_range": {"from": 2, "bytes": 3}}}], requests=())  # fmt: skip
    server = Server()
    with scripted(server) as port:
        made = order(of, port, users_per_s=10, duration=0.1)
        inputs = Inputs(files={"f": b"0123456789"})
        made = LoadOrder(made.endpoint, made.load, made.stage, inputs=inputs, numbering=Numbering(7))
        trio.run(facts_of, made)
    assert [(target, body) for _, target, _, body in server.log] == [("/x", b"234")]
