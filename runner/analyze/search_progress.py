"""A search for the capacity as far as its probes go: which rates were sustained, and what follows next.

A search has no state of its own. It is replayed from the facts of its probes, so an interrupted run and
a report made from its journal give the same result.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from msgspec import UNSET
from msgspec.structs import replace

from runner.analyze.capacity_text import disturbed_probe
from runner.analyze.masked_probe import doubts_of, mask
from runner.analyze.probe import failure, insufficient_share, is_credible, loses, why_undecided
from runner.analyze.thresholds import evaluate
from runner.core.facts import TrialFacts
from runner.core.judgements import Probe, ThresholdResult
from runner.core.stage_results import Stage
from runner.experiment.capacity_search import Search
from runner.experiment.model import FindStage
from runner.experiment.trials import Trial, next_probe, search_of

StageOf: TypeAlias = Callable[[Trial, TrialFacts], Stage]


@dataclasses.dataclass(frozen=True, slots=True)
class SearchProgress:
    """A search as far as its facts go.

    Attributes:
        stages: The probes that were run, in order, each with its `find`.
        undecided: Why the last probe could not be judged; None if it could.
    """

    trial: Trial
    find: FindStage
    search: Search
    stages: tuple[Stage, ...] = ()
    undecided: str | None = None

    @property
    def upcoming(self) -> Trial | None:
        """The next probe; None if the search is over."""
        return None if self.undecided is not None else next_probe(self.trial, self.search, len(self.stages))

    def after(self, probe: Trial, stage: Stage) -> SearchProgress:
        """Return the search after its upcoming probe."""
        conditions = evaluate(self.find.find.until, stage)
        undecided = why_undecided(stage, conditions)
        search, sustained, why = (
            self._judged(stage, conditions) if undecided is None else (self.search, None, undecided)
        )
        hidden_by = mask(stage) if sustained is False else None
        why = "; ".join((why, *doubts_of(stage, hidden_by))) if is_credible(stage) else why
        tried = Probe(self.find.name, probe.probe, sustained, why, conditions, mask=hidden_by or UNSET)
        stages = (*self.stages, replace(stage, find=tried))
        return dataclasses.replace(self, search=search, stages=stages, undecided=undecided)

    def _judged(self, stage: Stage, conditions: Sequence[ThresholdResult]) -> tuple[Search, bool | None, str]:
        """Return the search after a probe, whether its rate was sustained, and why not."""
        until, valid = self.find.find.until, is_credible(stage)
        kept_up = not loses(until, stage) and insufficient_share(until, stage) is None
        if valid and all(condition.ok for condition in conditions) and kept_up:
            return self.search.after(sustained=True), True, ""
        if (repeating := self._repeating(stage)) is not None:
            return repeating, None, disturbed_probe(stage)
        return self.search.after(sustained=False), False, failure(stage, until, conditions)

    def _repeating(self, stage: Stage) -> Search | None:
        """Return the search that tries a rate once more; None if its failure counts.

        A rate that was sustained in spite of other programs is sustained. One that failed beside them may
        have failed because of them.
        """
        before = self.stages[-1] if self.stages else None
        is_repeat = before is not None and before.find is not None and before.find.holds is None
        return self.search.without_probe() if stage.validity.disturbed and not is_repeat else None


def replay(trial: Trial, facts: Mapping[int, TrialFacts], stage_of: StageOf) -> SearchProgress | None:
    """Return how far a search is, from the facts by order; None for a trial that is no search."""
    search = search_of(trial)
    if search is None or trial.find is None:
        return None
    progress = SearchProgress(trial, trial.find, search)
    while (probe := progress.upcoming) is not None and probe.order in facts:
        progress = progress.after(probe, stage_of(probe, facts[probe.order]))
    return progress


def probe_stages(progress: SearchProgress) -> tuple[Stage, ...]:
    """Return a search's stages, with the two that its result rests on marked.

    The experiment's thresholds apply only to the highest sustained rate.
    """
    sustained, failed = progress.search.sustained, progress.search.failed
    return tuple(
        replace(
            stage,
            find=replace(
                stage.find,
                decides=stage.find.holds is not None and stage.rate in {sustained, failed},
            ),
            thresholds=stage.thresholds if stage.find.holds and stage.rate == sustained else (),
        )
        for stage in progress.stages
        if stage.find
    )
