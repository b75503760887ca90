"""Which counter-experiments run: for each verdict one change after another, in alternating blocks."""

import pytest
from msgspec.structs import replace

from runner.analyze.proof_plan import next_blocks, reached, recorded_blocks
from runner.analyze.results import results
from runner.core.codes import Limit, ProofAnswer
from runner.core.findings import Finding
from runner.core.measured import Requests
from runner.core.observed_results import Moment
from runner.core.stage_results import Block, CounterExperiment
from runner.experiment.load import read_spec
from runner.experiment.proof_blocks import BLOCKS, Reached, block_seconds, block_stage, block_window
from runner.experiment.trial_title import trial_title
from runner.experiment.trials import plan
from tests.analyze.facts import OVERLOADED, RUN
from tests.analyze.stages import likely, stage

DOCKER = """
version: 1
name: shop
topology:
  kind: docker
  app: {image: shop, port: 8080, cpus: 0.5, env: {WORKERS: "2", DB_POOL_SIZE: "5"}}
  services: {db: {image: postgres, port: 5432, cpus: 1, memory: 64MiB}}
  replicas: 2
  proxy: {kind: nginx, workers: 1}
load: {connection: new}
stages: [{rps: 100, duration: 30s, warmup: 5s}, {rps: 200, duration: 4s}]
prove: true
"""


def experiment(text=DOCKER, **changes):
    return read_spec(text.encode(), source="shop.yaml", overrides=[f"{k}={v}" for k, v in changes.items()])


def measured(verdicts, spec=None, **changes):
    """The plan of the specification, and results in which its stages have these verdicts."""
    spec = spec or experiment()
    planned = plan(spec)
    empty = results(spec, spec_sha256="0" * 64, run=RUN, trials=(), planned=planned)
    stages = tuple(
        stage(order=order, name=planned[order].stage.name, actual_rps=80.0, verdict=verdict, **changes)
        for order, verdict in verdicts.items()
    )
    return planned, replace(empty, configurations=(replace(empty.configurations[0], stages=stages),))


def blocks_of(verdicts, **changes):
    return next_blocks(*measured(verdicts, **changes))


def test_the_stages_of_a_configuration_share_the_stacks_of_a_change():
    quota = likely("app-quota-throttled")

    blocks = blocks_of({0: quota, 1: quota})

    assert [(t.order, t.counter_experiment_for, t.block, t.configuration.name) for t in blocks] == [
        (2, 0, 0, "shop"),
        (3, 1, 0, "shop"),
        (4, 0, 1, "shop-cpu-limit"),
        (5, 1, 1, "shop-cpu-limit"),
        (6, 0, 2, "shop"),
        (7, 1, 2, "shop"),
        (8, 0, 3, "shop-cpu-limit"),
        (9, 1, 3, "shop-cpu-limit"),
        (10, 0, 4, "shop"),
        (11, 1, 4, "shop"),
    ]
    assert {t.stack for t in blocks} == {""}


def test_the_title_of_a_block_says_what_was_changed_and_what_it_offers():
    titles = [trial_title(block) for block in blocks_of({0: likely("app-quota-throttled")})]

    assert titles[:2] == [
        "shop · 100 RPS, counter-experiment 1 of 5 (as specified), 160 RPS offered",
        "shop-cpu-limit · 100 RPS, counter-experiment 2 of 5 (doubling the CPU limit), 160 RPS offered",
    ]


def test_a_change_of_the_load_needs_no_further_stack():
    blocks = blocks_of({0: likely("host-cpu-limited")})

    assert [(t.is_changed, t.configuration.load.connection, t.stack) for t in blocks] == [
        (False, "new", "shop"),
        (True, "keep-alive", "shop"),
        (False, "new", "shop"),
        (True, "keep-alive", "shop"),
        (False, "new", "shop"),
    ]


def test_nothing_is_planned_without_prove_or_a_limit():
    quota = likely("app-quota-throttled")

    assert blocks_of({0: quota}, spec=experiment(prove="false")) == ()
    assert blocks_of({0: likely("within-capacity")}) == ()


def test_a_further_repeat_and_a_probe_of_a_search_have_none():
    quota = likely("app-quota-throttled")
    search = DOCKER.replace(
        "{rps: 200, duration: 4s}", "{find: {max_rps: 200, until: [achieved >= 99%]}, duration: 4s}"
    )
    repeated = experiment(repeats=2)
    orders = {trial.order: quota for trial in plan(repeated)}
    first = {trial.order for trial in plan(repeated) if trial.repeat == 1}

    assert {t.counter_experiment_for for t in blocks_of(orders, spec=repeated)} == first
    assert {t.counter_experiment_for for t in blocks_of({0: quota, 1: quota}, spec=experiment(search))} == {0}


def answered(change, answer, limit=Limit.APP_CONCURRENCY):
    block = Block(changed=False, order=9, actual_rps=80.0, limit=limit, used=True)
    return CounterExperiment(
        change, "", "the app", (80.0, 80.0), 0.0, ProofAnswer(answer), "", stage(), blocks=(block,)
    )


def test_one_change_after_another_is_tried_until_one_decides():
    planned, results = measured({0: likely("app-concurrency-limited")})
    tried = []
    while blocks := next_blocks(planned, results):
        tried.append(blocks[0].change)
        planned = (*planned, *blocks)

    assert tried == ["workers", "pool", "replica"]
    assert blocks_of({0: likely("service-limited")}) == ()


@pytest.mark.parametrize(
    ("answer", "limit", "count"),
    [
        ("confirmed", Limit.APP_CONCURRENCY, 0),
        ("refuted", Limit.APP_CONCURRENCY, 0),
        ("no effect", Limit.APP_CONCURRENCY, BLOCKS),
        ("inconclusive", Limit.APP_CONCURRENCY, BLOCKS),
        ("inconclusive", Limit.WITHIN_CAPACITY, 0),  # the limit did not show: no change can lift it
    ],
)
def test_a_decision_ends_the_tries(answer, limit, count):
    verdict = likely("app-concurrency-limited", counter_experiment=answered("workers", answer, limit))
    planned, results = measured({0: likely("app-concurrency-limited")})
    planned = (*planned, *next_blocks(planned, results))
    stages = (replace(results.configurations[0].stages[0], verdict=verdict),)
    results = replace(results, configurations=(replace(results.configurations[0], stages=stages),))

    assert len(next_blocks(planned, results)) == count


def test_a_service_that_is_the_limit_gets_more_cpu():
    verdict = likely("service-limited")
    found = Finding(Limit.SERVICE, verdict.confidence, "", (), "", "db")

    block = blocks_of({0: replace(verdict, findings=(found,))})[1]

    assert (block.change, block.configuration.name) == ("service-cpus.db", "shop-service-cpus-db")
    assert block.configuration.topology.services["db"].cpus == 2


def test_a_journal_contains_the_blocks_that_ran():
    spec = experiment()
    planned, results = measured({0: likely("app-quota-throttled")})
    blocks = next_blocks(planned, results)
    facts = [replace(OVERLOADED, order=t.order, proves=0, change=t.change, block=t.block) for t in blocks]
    foreign = [
        replace(OVERLOADED, order=20, proves=0, change="cpu-limit", block=BLOCKS),
        replace(OVERLOADED, order=21, proves=9, change="cpu-limit", block=0),
        replace(OVERLOADED, order=22, proves=0, change="direct-current", block=0),
        replace(OVERLOADED, order=0, proves=0, change="cpu-limit", block=0),
    ]

    assert recorded_blocks(plan(spec), [*facts[:3], *foreign], results) == blocks[:3]


def test_the_single_run_of_an_earlier_version_is_the_whole_stage_with_the_change():
    planned, results = measured({0: likely("app-quota-throttled")})
    facts = replace(OVERLOADED, order=2, proves=0, change="cpu-limit")

    (trial,) = recorded_blocks(planned, [facts], results)

    assert (trial.is_changed, trial.stage, trial.configuration.name) == (
        True,
        planned[0].stage,
        "shop-cpu-limit",
    )


@pytest.mark.parametrize(
    ("duration", "window"), [(1, 2), (2, 2), (3, 3), (10, 3), (30, 6), (45, 9), (600, 10)]
)
def test_all_blocks_take_about_as_long_as_the_stage(duration, window):
    assert block_window(duration) == window


def trial_of(text=DOCKER, **changes):
    return plan(experiment(text, **changes))[0]


def test_a_block_offers_twice_the_throughput_that_was_reached_whatever_the_stage_offered():
    block = block_stage(trial_of(), Reached(81.26))

    assert (block.rps, block.duration, block.warmup, block.name) == (163.0, 6.0, 5.0, "100 RPS")
    assert block_stage(trial_of(), Reached(None)).rps == 100
    assert block_stage(trial_of(), Reached(0.0)).rps == 100
    assert block_seconds(trial_of().configuration, trial_of().stage) == 5 * (6 + 5 + 2)


SCENARIO = """
version: 1
name: shop
topology: {kind: external, url: "http://127.0.0.1:8080"}
load:
  variables: {user: {jsonl: users.jsonl, order: once}}
  scenarios: [{name: a, steps: [{request: {name: b, path: "/${user}"}}]}]
stages: [{users_per_s: {from: 0, to: 20}, duration: 2s}]
"""


def test_a_block_starts_users_at_the_highest_rate_for_which_there_are_rows():
    assert block_stage(trial_of(SCENARIO), Reached(80.0)).users_per_s == 20 / (2 + 1)
    rowless = SCENARIO.replace("order: once", "order: sequential")
    assert block_stage(trial_of(rowless), Reached(80.0)).users_per_s == 20


EXTERNAL = """
version: 1
name: shop
topology: {kind: external, url: "http://127.0.0.1:8080"}
stages: [{rps: 100, duration: 30s}]
prove: true
"""


def test_a_service_that_the_run_did_not_start_gets_no_more_than_its_specification_says():
    assert block_stage(trial_of(EXTERNAL), Reached(80.0)).rps == 100
    assert block_stage(trial_of(EXTERNAL), Reached(20.0)).rps == 40


@pytest.mark.parametrize(
    ("level", "level_of_block"),
    [
        ("rps: {from: 10, to: 200}", (160.0, None)),
        ("users: 7", (None, 7)),
        ("users: {from: 1, to: 9}", (None, 9)),
    ],
)
def test_ramps_and_users_are_tested_at_a_constant_level(level, level_of_block):
    block = block_stage(trial_of(DOCKER.replace("rps: 100", level)), Reached(80.0))

    assert (block.rps, block.users) == level_of_block


def test_after_time_outs_the_capacity_is_that_of_the_best_second_and_the_rate_no_lower_than_the_stages():
    moments = tuple(Moment(t_s=float(at + 1), rps=rps, p95_ms=None) for at, rps in enumerate((90, 20, 5)))
    lost = Requests(480, 480, 115, 365, 0, {"timeout": 365})
    timed_out = stage(actual_rps=38.0, requests=lost, timeseries=moments)

    assert reached(timed_out) == Reached(90.0, timed_out=True)
    assert reached(replace(timed_out, requests=replace(lost, failures={}))) == Reached(38.0)
    assert block_stage(trial_of(**{"stages.0.rps": 160}), Reached(40.0, timed_out=True)).rps == 160


def test_no_more_requests_are_in_flight_than_are_served_before_they_time_out():
    short, long = (
        blocks_of({0: likely("app-quota-throttled")}, spec=experiment(**{"load.timeout": timeout}))[0]
        for timeout in ("1s", "30s")
    )

    assert short.configuration.load.max_in_flight == 64  # 80 a second for 0.8 s
    assert long.configuration.load.max_in_flight == 2000
