"""Configurations × stages × repeats in the order they are run (pure).

A machine warms up, throttles and gets busy with time. Repeats therefore come in blocks
that each hold every stage once, in seeded random order, so that drift falls on all stages
alike instead of on the last one (randomized block design; Fisher, 1935).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from runner.core.errors import UsageError
from runner.experiment.capacity_search import Search
from runner.experiment.counter_experiments import changed, counter_experiment
from runner.experiment.model import AnyStage, Configuration, Experiment, FindStage, Stage
from runner.experiment.suggestions import did_you_mean, either


@dataclass(frozen=True, slots=True)
class Trial:
    """One stage of one configuration, to be run once.

    Attributes:
        configuration: Complete in itself.
        stage: One of the configuration's stages.
        repeat: Counts from 1.
        order: Place in the run, from 0.
        cross_check: It offers the same stage with the other engine, to check the first one's numbers.
        proves: Order of the trial whose verdict this counter-experiment is about.
        change: What is done differently in it, a name of `runner.experiment.counter_experiments`.
        find: The search it belongs to. The planned trial stands for the whole search, at its highest
            rate and with one order for each probe it may make; its probes are made while it runs.
        probe: Which probe of its search it is, from 1; 0 when it is none.
    """

    configuration: Configuration
    stage: Stage
    repeat: int
    order: int
    cross_check: bool = False
    proves: int | None = None
    change: str = ""
    find: FindStage | None = None
    probe: int = 0

    @property
    def orders(self) -> int:
        """How many places in the run it may take."""
        return self.find.find.probes if self.find and not self.probe else 1


def plan(
    experiment: Experiment, *, configurations: Collection[str] = (), stages: Collection[str] = ()
) -> tuple[Trial, ...]:
    """Every trial, in the order to run them.

    One repeat keeps the file's order. With more, each repeat is a block of all stages in
    random order, those of one configuration together so that its stack comes up once a
    block. The order follows from the first configuration's ``load.seed`` alone, and a
    filter leaves the order of what remains as it is.

    Args:
        experiment: What was asked.
        configurations: Names to keep; empty keeps all.
        stages: Names to keep; empty keeps all.

    Raises:
        UsageError: A name is unknown.
    """
    kept = _named(configurations, [each.name for each in experiment.configurations], "configuration")
    chosen = [each for each in experiment.configurations if each.name in kept]
    wanted = _named(stages, [stage.name for each in chosen for stage in each.stages], "stage")
    return _in_order(
        (configuration, stage, repeat)
        for configuration, stage, repeat in _all(experiment)
        if configuration.name in kept and stage.name in wanted
    )


def _in_order(chosen: Iterable[tuple[Configuration, AnyStage, int]]) -> tuple[Trial, ...]:
    """Number them, each with its cross-check; which engine goes first alternates."""
    trials: list[Trial] = []
    order = 0
    swap = False
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
    if isinstance(stage, Stage):
        return Trial(configuration, stage, repeat, 0)
    highest = stage.at(stage.find.max_rps).model_copy(update={"name": stage.name})
    return Trial(configuration, highest, repeat, 0, find=stage)


def search_of(trial: Trial) -> Search | None:
    """The search that a trial stands for, before its first probe; None when it stands for itself."""
    if trial.find is None or trial.probe:
        return None
    find = trial.find.find
    return Search(find.least, find.max_rps, find.first, find.precision, find.probes)


def next_probe(trial: Trial, search: Search) -> Trial | None:
    """The trial that tries a search's next rate; None when the search is over."""
    rate, done = search.next_rate, len(search.tried)
    if trial.find is None or rate is None:
        return None
    return replace(trial, stage=trial.find.at(rate), order=trial.order + done, probe=done + 1)


def counter_trials(trials: Sequence[Trial], codes: Mapping[int, str]) -> tuple[Trial, ...]:
    """The counter-experiments of stages that met a limit, those on the same stack together.

    Args:
        trials: What was run, in order.
        codes: Order of a trial to its verdict; trials that are not to be proven are absent.

    Returns:
        One trial for each first repeat whose configuration asks for proof and has a change that its
        verdict can be tried with, numbered on from `trials`.
    """
    wanted = [
        t for t in trials if t.order in codes and t.configuration.prove and t.repeat == 1 and not t.find
    ]
    pairs = [(t, counter_experiment(t.configuration, codes[t.order])) for t in wanted]
    found = [(t, change) for t, change in pairs if change and not (t.cross_check or t.find)]
    found.sort(key=lambda pair: (pair[0].configuration.name, pair[1].name, pair[0].order))
    first = max((trial.order + trial.orders for trial in trials), default=0)
    return tuple(
        Trial(changed(t.configuration, change.name), t.stage, 1, order, proves=t.order, change=change.name)
        for order, (t, change) in enumerate(found, start=first)
    )


def _other_engine(configuration: Configuration) -> Configuration:
    load = configuration.load
    other = "k6" if load.engine == "builtin" else "builtin"
    same = load.model_copy(update={"engine": other, "quantum": None, "cpus": ()})
    return configuration.model_copy(update={"load": same})


def _all(experiment: Experiment) -> Iterator[tuple[Configuration, AnyStage, int]]:
    random = Random(experiment.configurations[0].load.seed)  # noqa: S311  (an order to repeat, no secret)
    for repeat in range(1, experiment.repeats + 1):
        block = [(each, list(each.stages)) for each in experiment.configurations]
        if experiment.repeats > 1:
            random.shuffle(block)
            for _, stages in block:
                random.shuffle(stages)
        for configuration, stages in block:
            yield from ((configuration, stage, repeat) for stage in stages)


def _named(names: Collection[str], known: Sequence[str], what: str) -> Collection[str]:
    """The names to keep: those asked for, or all that are known."""
    unknown = [name for name in names if name not in known]
    if unknown:
        there_are = f"the {what}s are {either(dict.fromkeys(known), 'and')}"
        hint = "; ".join(filter(None, (did_you_mean(name, known) for name in unknown)))
        quoted = either(f"'{name}'" for name in unknown)
        raise UsageError(f"there is no {what} {quoted}", hint=hint or there_are)
    return names or known
