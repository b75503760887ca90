"""Which stages a sentence is about: those that ran, were sustained, or reached a limit."""

from __future__ import annotations

from collections.abc import Sequence

from runner.core.codes import Limit, StageStatus, Validity
from runner.core.stage_results import Stage


def constant(stages: Sequence[Stage]) -> list[Stage]:
    """Return the stages that offered one rate, which alone can be sustained or missed."""
    return [stage for stage in stages if stage.level_ramp is None and stage.users is None]


def sustained(stages: Sequence[Stage]) -> list[Stage]:
    """Return valid stages that achieved their target and passed all criteria, lowest rate first."""
    return sorted(filter(_is_sustained, constant(stages)), key=lambda stage: stage.rate)


def missed(stages: Sequence[Stage]) -> list[Stage]:
    """Return stages that ran and were not shown to sustain their rate, lowest rate first."""
    short = (stage for stage in measured(constant(stages)) if not _is_sustained(stage))
    return sorted(short, key=lambda stage: stage.rate)


def limited(stages: Sequence[Stage]) -> list[Stage]:
    """Return stages that ran and reached a limit, ramps among them, lowest rate first."""
    short = (stage for stage in measured(stages) if not _is_sustained(stage))
    return sorted(short, key=lambda stage: stage.rate)


def _is_sustained(stage: Stage) -> bool:
    """Return whether a stage counts as sustained; a probe must also pass the conditions of its search."""
    within = stage.find.holds if stage.find else stage.verdict.code is Limit.WITHIN_CAPACITY
    return bool(within) and stage.validity.status is not Validity.INVALID


def undecided(stage: Stage) -> bool:
    """Return whether it is a probe that shows neither that its rate is sustained nor that it is not."""
    return stage.find is not None and stage.find.holds is None


def measured(stages: Sequence[Stage]) -> list[Stage]:
    """Return stages that ran."""
    return [stage for stage in stages if stage.achieved is not None or (stage.users and stage.workers)]


def believed(stages: Sequence[Stage]) -> list[Stage]:
    """Return stages that conclusions may rest on."""
    return [stage for stage in stages if stage.validity.status is not Validity.INVALID]


def failed(stages: Sequence[Stage]) -> list[Stage]:
    """Return the stages in which the system under test failed."""
    return [stage for stage in stages if stage.status is StageStatus.FAILED]
