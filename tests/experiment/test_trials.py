"""The plan holds every stage once a repeat, in an order that can be had again."""

from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.errors import UsageError
from runner.experiment.model import Configuration, Experiment, ExternalTopology, Load, Stage
from runner.experiment.trials import Trial, plan


def experiment(configurations: int = 3, stages: int = 3, repeats: int = 1, seed: int = 1) -> Experiment:
    return Experiment(
        version=1,
        name="x",
        repeats=repeats,
        configurations=tuple(
            Configuration(
                name=f"c{c}",
                topology=ExternalTopology(kind="external", url="http://a"),
                load=Load(seed=seed),
                stages=tuple(Stage(rps=s + 1, duration=10.0, name=f"s{s}") for s in range(stages)),
            )
            for c in range(configurations)
        ),
    )


def names(trials: tuple[Trial, ...]) -> list[tuple[str, str, int]]:
    return [(trial.configuration.name, trial.stage.name, trial.repeat) for trial in trials]


EXPERIMENTS = st.builds(
    experiment,
    configurations=st.integers(1, 4),
    stages=st.integers(1, 4),
    repeats=st.integers(1, 5),
    seed=st.integers(0, 2**53 - 1),
)


def test_one_repeat_keeps_the_order_of_the_file() -> None:
    assert names(plan(experiment(2, 2))) == [
        ("c0", "s0", 1),
        ("c0", "s1", 1),
        ("c1", "s0", 1),
        ("c1", "s1", 1),
    ]


@given(EXPERIMENTS)
def test_every_repeat_is_a_block_with_each_stage_once(asked: Experiment) -> None:
    trials = plan(asked)
    everything = sorted((c.name, s.name) for c in asked.configurations for s in c.stages)

    blocks = [[(c, s) for c, s, _ in block] for _, block in groupby(names(trials), key=lambda name: name[2])]
    assert [sorted(block) for block in blocks] == [everything] * asked.repeats
    assert [trial.repeat for trial in trials] == sorted(trial.repeat for trial in trials)
    assert [trial.order for trial in trials] == list(range(len(trials)))


@given(EXPERIMENTS)
def test_a_stack_comes_up_once_for_each_block_and_configuration(asked: Experiment) -> None:
    for _, block in groupby(names(plan(asked)), key=lambda name: name[2]):
        visited = [configuration for configuration, _ in groupby(block, key=lambda name: name[0])]
        assert len(visited) == len(asked.configurations)


@given(EXPERIMENTS)
def test_the_same_seed_gives_the_same_order(asked: Experiment) -> None:
    assert plan(asked) == plan(asked)


def test_the_order_of_repeats_is_random_and_stays_as_it_is_from_version_to_version() -> None:
    order = " ".join(c + s for c, s, _ in names(plan(experiment(2, 3, repeats=2, seed=7))))

    assert order == "c0s2 c0s1 c0s0 c1s1 c1s0 c1s2 c1s1 c1s0 c1s2 c0s2 c0s0 c0s1"
    assert names(plan(experiment(3, 3, repeats=5, seed=1))) != names(
        plan(experiment(3, 3, repeats=5, seed=2))
    )


def test_repeats_differ_in_their_order() -> None:
    orders = {
        tuple((c, s) for c, s, _ in block)
        for _, block in groupby(names(plan(experiment(3, 3, repeats=10))), key=lambda name: name[2])
    }

    assert len(orders) > 5


@given(EXPERIMENTS, st.data())
def test_a_filter_leaves_the_order_of_what_remains(asked: Experiment, data: st.DataObject) -> None:
    kept = data.draw(st.sets(st.sampled_from([c.name for c in asked.configurations]), min_size=1))
    wanted = data.draw(st.sets(st.sampled_from([s.name for s in asked.configurations[0].stages]), min_size=1))

    some = plan(asked, configurations=kept, stages=wanted)

    assert names(some) == [name for name in names(plan(asked)) if name[0] in kept and name[1] in wanted]
    assert [trial.order for trial in some] == list(range(len(some)))


WRONG = [
    (
        "a misspelt configuration",
        {"configurations": ["c00"]},
        "there is no configuration 'c00'",
        "did you mean 'c0'?",
    ),
    (
        "an unlike configuration",
        {"configurations": ["docker"]},
        "there is no configuration 'docker'",
        "the configurations are c0, c1 and c2",
    ),
    ("a misspelt stage", {"stages": ["s9"]}, "there is no stage 's9'", "the stages are s0, s1 and s2"),
    ("two at once", {"stages": ["x", "y"]}, "there is no stage 'x' or 'y'", "the stages are s0, s1 and s2"),
]


@pytest.mark.parametrize(
    ("filters", "message", "hint"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG]
)
def test_an_unknown_name_is_refused_with_those_that_are_known(filters: dict, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as found:
        plan(experiment(), **filters)

    assert (found.value.message, found.value.hint) == (message, hint)


def test_a_rate_is_near_enough_to_the_name_of_its_stage() -> None:
    one = experiment().configurations[0].model_copy(update={"stages": (Stage(rps=4000, duration=1.0),)})
    asked = experiment().model_copy(update={"configurations": (one,)})

    with pytest.raises(UsageError) as found:
        plan(asked, stages=["4000"])

    assert found.value.hint == "did you mean '4,000 RPS'?"


def test_a_cross_check_follows_and_precedes_in_turn() -> None:
    asked = experiment(1, 3)
    (configuration,) = asked.configurations
    load = Load(cross_check=True, quantum=0.0005)
    checked = asked.model_copy(update={"configurations": (configuration.model_copy(update={"load": load}),)})

    trials = plan(checked)

    assert [(t.stage.name, t.configuration.load.engine, t.cross_check) for t in trials] == [
        ("s0", "builtin", False),
        ("s0", "k6", True),
        ("s1", "k6", True),
        ("s1", "builtin", False),
        ("s2", "builtin", False),
        ("s2", "k6", True),
    ]
    assert [trial.order for trial in trials] == list(range(6))
    assert all(trial.configuration.load.quantum is None for trial in trials if trial.cross_check)
