"""The plan contains every stage once per repeat, in a reproducible order."""

from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.errors import UsageError
from runner.experiment.external_topology import ExternalTopology
from runner.experiment.model import Configuration, Experiment, Load, Stage
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
def test_every_repeat_is_a_block_with_each_stage_once(spec: Experiment) -> None:
    trials = plan(spec)
    everything = sorted((c.name, s.name) for c in spec.configurations for s in c.stages)

    blocks = [[(c, s) for c, s, _ in block] for _, block in groupby(names(trials), key=lambda name: name[2])]
    assert [sorted(block) for block in blocks] == [everything] * spec.repeats
    assert [trial.repeat for trial in trials] == sorted(trial.repeat for trial in trials)
    assert [trial.order for trial in trials] == list(range(len(trials)))


@given(EXPERIMENTS)
def test_a_stack_starts_once_for_each_block_and_configuration(spec: Experiment) -> None:
    for _, block in groupby(names(plan(spec)), key=lambda name: name[2]):
        visited = [configuration for configuration, _ in groupby(block, key=lambda name: name[0])]
        assert len(visited) == len(spec.configurations)


@given(EXPERIMENTS)
def test_the_same_seed_gives_the_same_order(spec: Experiment) -> None:
    assert plan(spec) == plan(spec)


def test_the_order_of_repeats_is_random_and_does_not_change_between_versions() -> None:
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
def test_a_filter_keeps_the_order_of_the_remaining_trials(spec: Experiment, data: st.DataObject) -> None:
    kept = data.draw(st.sets(st.sampled_from([c.name for c in spec.configurations]), min_size=1))
    wanted = data.draw(st.sets(st.sampled_from([s.name for s in spec.configurations[0].stages]), min_size=1))

    some = plan(spec, configurations=kept, stages=wanted)

    assert names(some) == [name for name in names(plan(spec)) if name[0] in kept and name[1] in wanted]
    assert [trial.order for trial in some] == list(range(len(some)))


WRONG = [
    (
        "a misspelt configuration",
        {"configurations": ["c00"]},
        "there is no configuration 'c00'",
        "did you mean 'c0'?",
    ),
    (
        "a dissimilar configuration",
        {"configurations": ["docker"]},
        "there is no configuration 'docker'",
        "configurations are c0, c1 and c2",
    ),
    ("a misspelt stage", {"stages": ["s9"]}, "there is no stage 's9'", "stages are s0, s1 and s2"),
    ("two at once", {"stages": ["x", "y"]}, "there is no stage 'x' or 'y'", "stages are s0, s1 and s2"),
]


@pytest.mark.parametrize(
    ("filters", "message", "hint"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG]
)
def test_an_unknown_name_is_refused_with_the_known_names(filters: dict, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan(experiment(), **filters)

    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_rate_suggests_the_stage_with_that_name() -> None:
    one = experiment().configurations[0].model_copy(update={"stages": (Stage(rps=4000, duration=1.0),)})
    spec = experiment().model_copy(update={"configurations": (one,)})

    with pytest.raises(UsageError) as caught:
        plan(spec, stages=["4000"])

    assert caught.value.hint == "did you mean '4,000 RPS'?"


def test_cross_checks_alternately_follow_and_precede() -> None:
    spec = experiment(1, 3)
    (configuration,) = spec.configurations
    load = Load(cross_check=True, quantum=0.0005)
    checked = spec.model_copy(update={"configurations": (configuration.model_copy(update={"load": load}),)})

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
