"""Configurations × stages × repeats in the order in which they run (pure).

A machine warms up, throttles and gets busier over time. Repeats therefore run in blocks that each
contain every stage once, in seeded random order, so that drift affects all stages equally instead
of the last one most (randomized block design; Fisher, 1935).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from runner.core.errors import UsageError
from runner.experiment.arrivals import Arrivals, arrivals, of_stages
from runner.experiment.capacity_search import Search
from runner.experiment.model import AnyStage, Configuration, Experiment, FindStage, Stage
from runner.experiment.suggestions import did_you_mean, join_words


@dataclass(frozen=True, slots=True)
class Trial:
    """One stage of one configuration, run once.

    Attributes:
        repeat: Counts from 1.
        order: Place in the run, from 0.
        cross_check: Whether it repeats a trial with the other engine to check its numbers.
        counter_experiment_for: Order of the trial whose verdict it tests, if it is a counter-experiment.
        change: The change in a counter-experiment, a key of `runner.experiment.changes.CHANGES`.
        block: Place among the blocks of its counter-experiment, from 0; odd ones have the change. None in
            the plan of versions that ran a single one, with the change.
        stack: Name of the configuration whose stack it uses; empty for its own.
        find: The search it belongs to. The planned trial represents the whole search, at its highest
            rate and with one order for each probe; its probes are created while it runs.
        probe: Number of the probe in its search, from 1; 0 if it is not a probe.
        earlier: The arrivals of the configuration's stages before it, in the order of the file.
    """

    configuration: Configuration
    stage: Stage
    repeat: int
    order: int
    cross_check: bool = False
    counter_experiment_for: int | None = None
    change: str = ""
    find: FindStage | None = None
    probe: int = 0
    earlier: tuple[Arrivals, ...] = ()
    block: int | None = None
    stack: str = ""

    @property
    def is_changed(self) -> bool:
        """Whether it is a block of a counter-experiment that has the change."""
        return self.counter_experiment_for is not None and (self.block is None or self.block % 2 == 1)

    @property
    def orders(self) -> int:
        """How many places in the run it needs at most."""
        return self.find.find.probes if self.find and not self.probe else 1


def plan(
    experiment: Experiment, *, configurations: Collection[str] = (), stages: Collection[str] = ()
) -> tuple[Trial, ...]:
    """Return every trial, in the order in which they run.

    One repeat keeps the file's order. With more, each repeat is a block of all stages in random
    order; the stages of one configuration stay together, so that its stack starts once per block.
    The order depends only on the first configuration's ``load.seed``, and a filter does not change
    the order of the remaining trials.

    `configurations` and `stages` are names to keep; empty keeps all. An unknown one is a `UsageError`.
    """
    names = [configuration.name for configuration in experiment.configurations]
    kept = _selected(configurations, names, "configuration")
    stages_of = {configuration.name: configuration.stages for configuration in experiment.configurations}
    known = [stage.name for name in names if name in kept for stage in stages_of[name]]
    kept_stages = _selected(stages, known, "stage")
    return _in_order(
        (configuration, stage, repeat)
        for configuration, stage, repeat in _all(experiment)
        if configuration.name in kept and stage.name in kept_stages
    )


def _in_order(chosen: Iterable[tuple[Configuration, AnyStage, int]]) -> tuple[Trial, ...]:
    """Return numbered trials, each with its cross-check; the engine that goes first alternates."""
    trials: list[Trial] = []
    order, swap = 0, False
    for configuration, stage, repeat in chosen:
        pair = [_trial(configuration, stage, repeat)]
        if configuration.load.cross_check:
            other = replace(pair[0], configuration=_other_engine(configuration), cross_check=True)
            pair.insert(0 if swap else 1, other)
            swap = not swap
        for trial in pair:
            trials.append(replace(trial, order=order))
            order += trial.orders
    return tuple(trials)


def _trial(configuration: Configuration, stage: AnyStage, repeat: int) -> Trial:
    earlier = _earlier(configuration, stage, repeat)
    if isinstance(stage, Stage):
        return Trial(configuration, stage, repeat, 0, earlier=earlier)
    highest = stage.at(stage.find.highest).model_copy(update={"name": stage.name})
    return Trial(configuration, highest, repeat, 0, find=stage, earlier=earlier)


def _earlier(configuration: Configuration, stage: AnyStage, repeat: int) -> tuple[Arrivals, ...]:
    """Return the arrivals before a stage, which also depend on no filter; only variables need them."""
    load, stages = configuration.load, configuration.stages
    if not load.variables:
        return ()
    before = stages[: stages.index(stage)]
    return (*of_stages(load, stages, repeat - 1), *of_stages(load, before))


def places(trials: Sequence[Trial]) -> int:
    """Return how many places a plan has at most, each probe of a search being one."""
    return max((trial.order + trial.orders for trial in trials), default=0)


def search_of(trial: Trial) -> Search | None:
    """Return the search that a planned trial represents, before its first probe; None for other trials."""
    if trial.find is None or trial.probe:
        return None
    find = trial.find.find
    return Search(find.lowest, find.highest, find.first, find.precision, find.probes, unit=find.unit)


def next_probe(trial: Trial, search: Search, done: int) -> Trial | None:
    """Return the trial for the next rate of a search, of which `done` were run; None if it is over."""
    rate = search.next_rate
    if trial.find is None or rate is None:
        return None
    return replace(
        trial,
        stage=trial.find.at(rate),
        order=trial.order + done,
        probe=done + 1,
        earlier=(*trial.earlier, (arrivals(trial.configuration.load, trial.stage), done)),
    )


def _other_engine(configuration: Configuration) -> Configuration:
    load = configuration.load
    other = "k6" if load.engine == "builtin" else "builtin"
    same = load.model_copy(update={"engine": other, "quantum": None, "cpus": ()})
    return configuration.model_copy(update={"load": same})


def _all(experiment: Experiment) -> Iterator[tuple[Configuration, AnyStage, int]]:
    random = Random(experiment.configurations[0].load.seed)  # noqa: S311  (a repeatable order, not a secret)
    for repeat in range(1, experiment.repeats + 1):
        block = [(configuration, list(configuration.stages)) for configuration in experiment.configurations]
        if experiment.repeats > 1:
            random.shuffle(block)
            for _, stages in block:
                random.shuffle(stages)
        for configuration, stages in block:
            yield from ((configuration, stage, repeat) for stage in stages)


def _selected(names: Collection[str], known: Sequence[str], what: str) -> Collection[str]:
    """Return the names to keep: `names`, or all that are known if it is empty."""
    unknown = [name for name in names if name not in known]
    if unknown:
        overview = f"{what}s are {join_words(dict.fromkeys(known), 'and')}"
        hint = "; ".join(filter(None, (did_you_mean(name, known) for name in unknown)))
        quoted = join_words(f"'{name}'" for name in unknown)
        raise UsageError(f"there is no {what} {quoted}", hint=hint or overview)
    return names or known
