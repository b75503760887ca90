"""Which counter-experiments a run still needs, and which its journal contains (pure).

For each verdict, the changes that may lift its limit are tried one after another until one decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from runner.core.codes import Limit, ProofAnswer, StageStatus, Validity
from runner.core.facts import TrialFacts
from runner.core.results import Results
from runner.core.stage_results import CounterExperiment, Stage
from runner.experiment.changes import Change
from runner.experiment.counter_experiments import changed, changes_for
from runner.experiment.proof_blocks import BLOCKS, Reached, block_of
from runner.experiment.trials import Trial

MAX_CHANGES: Final = 3
"""So many changes are tried for a verdict at most."""
DECISIVE: Final = frozenset({ProofAnswer.CONFIRMED, ProofAnswer.REFUTED})
"""Answers after which no further change is tried."""


class _Test(NamedTuple):
    """A trial whose verdict is tested with a change."""

    trial: Trial
    reached: Reached
    change: str

    @property
    def group(self) -> tuple[str, str]:
        """Trials with the same one share the stacks of their blocks."""
        return self.trial.configuration.name, self.change


def next_blocks(planned: Sequence[Trial], results: Results) -> tuple[Trial, ...]:
    """Return the blocks of the next counter-experiments; empty if no verdict needs a further one.

    There is one for each first repeat whose configuration has ``prove: true``, whose verdict is not decided,
    and that has a change left. Their numbers continue those of `planned`, the run's trials in order.
    """
    stages = _stages(results)
    tests = [
        _Test(trial, reached(stages[trial.order]), change.name)
        for trial in planned
        if trial.order in stages and (change := _next_change(trial, stages[trial.order], planned))
    ]
    first = max((trial.order + trial.orders for trial in planned), default=0)
    return tuple(
        block_of(test.trial, test.reached, test.change, block, order)
        for order, (test, block) in enumerate(_in_turn(tests), start=first)
    )


def recorded_blocks(
    planned: Sequence[Trial], trials: Iterable[TrialFacts], results: Results
) -> tuple[Trial, ...]:
    """Return the trials of counter-experiments that a journal contains, as its specification determines them.

    Those whose change does not apply, or that test nothing in the plan, are left out.
    """
    by_order, stages = {trial.order: trial for trial in planned}, _stages(results)
    recorded = []
    for facts in sorted(trials, key=lambda facts: facts.order):
        tested = by_order.get(-1 if facts.proves is None else facts.proves)
        if tested is None or facts.order in by_order or tested.order not in stages:
            continue
        try:
            recorded.append(_recorded(tested, stages[tested.order], facts))
        except ValueError:
            continue
    return tuple(recorded)


def can_be_tested(trial: Trial) -> bool:
    """Return whether the verdict of a trial is tested if it reaches a limit."""
    first = trial.repeat == 1 and not (trial.find or trial.cross_check)
    return first and trial.configuration.prove and trial.counter_experiment_for is None


def reached(stage: Stage) -> Reached:
    """Return what a stage reached: of a ramp, in its best slice; after time-outs, in its best second."""
    slices = [part.actual_rps for part in stage.slices if part.actual_rps is not None]
    throughput = max(slices, default=stage.actual_rps)
    timed_out = stage.requests.failures.get("timeout", 0) > 0
    if throughput is None or not timed_out:
        return Reached(throughput)
    seconds = [second.rps for second in stage.timeseries if second.rps is not None]
    return Reached(max([throughput, *map(float, seconds)]), timed_out=True)


def _stages(results: Results) -> Mapping[int, Stage]:
    return {
        stage.order: stage
        for configuration in results.configurations
        for stage in configuration.stages
        if stage.status is StageStatus.COMPLETE
    }


def _next_change(trial: Trial, stage: Stage, planned: Sequence[Trial]) -> Change | None:
    if not can_be_tested(trial) or stage.validity.status is Validity.INVALID:
        return None
    experiments = stage.verdict.experiments
    if any(experiment.answer in DECISIVE or _never_limited(experiment) for experiment in experiments):
        return None
    tried = {other.change for other in planned if other.counter_experiment_for == trial.order}
    verdict = stage.verdict
    applicable = changes_for(trial.configuration, verdict.code, verdict.service)[:MAX_CHANGES]
    return next((change for change in applicable if change.name not in tried), None)


def _never_limited(experiment: CounterExperiment) -> bool:
    """Return whether the limit did not show in any block without the change: no change can lift it then."""
    before = [block for block in experiment.blocks if block.used and not block.changed]
    return bool(before) and all(block.limit is Limit.WITHIN_CAPACITY for block in before)


def _in_turn(tests: Iterable[_Test]) -> Iterator[tuple[_Test, int]]:
    """Yield each test with the number of a block, in the order in which few stacks have to start."""
    groups = defaultdict(list)
    for test in tests:
        groups[test.group].append(test)
    for _, group in sorted(groups.items()):
        for block in range(BLOCKS):
            yield from ((test, block) for test in group)


def _recorded(tested: Trial, stage: Stage, facts: TrialFacts) -> Trial:
    if facts.block is not None:
        if not 0 <= facts.block < BLOCKS:
            raise ValueError("a counter-experiment has no such block")
        return block_of(tested, reached(stage), facts.change, facts.block, facts.order)
    return Trial(
        changed(tested.configuration, facts.change),
        tested.stage,
        repeat=1,
        order=facts.order,
        counter_experiment_for=tested.order,
        change=facts.change,
        earlier=tested.earlier,
    )
