"""Which stages a sentence is about: those that ran, were sustained, or reached a limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET

from runner.core.codes import DoubtCode, Limit, StageStatus, Validity
from runner.core.stage_results import Stage

_NO_LIMIT: Final = frozenset({Limit.WITHIN_CAPACITY, Limit.UNDETERMINED})


def constant(stages: Sequence[Stage]) -> list[Stage]:
    """Return the stages that offered one rate, which alone can be sustained or missed."""
    return [stage for stage in stages if stage.level_ramp is None and stage.users is None]


def sustained(stages: Sequence[Stage]) -> list[Stage]:
    """Return valid stages that achieved their target and passed all criteria, lowest rate first."""
    return sorted(filter(_is_sustained, constant(stages)), key=lambda stage: stage.rate)


def missed(stages: Sequence[Stage]) -> list[Stage]:
    """Return stages that ran and were not shown to sustain their rate, lowest rate first.

    Those that were cut short come last: they show neither that their rate is sustained nor that it is not.
    """
    short = (stage for stage in measured(constant(stages)) if not _is_sustained(stage))
    return sorted(short, key=lambda stage: (cut_short(stage), stage.rate))


def limited(stages: Sequence[Stage]) -> list[Stage]:
    """Return stages that ran and reached a limit, ramps among them, lowest rate first."""
    short = (stage for stage in measured(stages) if not _is_sustained(stage))
    return sorted(short, key=lambda stage: stage.rate)


def limited_beside_rates(stages: Sequence[Stage]) -> list[Stage]:
    """Return the ramps, and then the users, that reached a limit and may be believed.

    Users always reach some limit, so those whose limit is not known say nothing beside rates or ramps; of
    others, the one with the highest throughput comes first.
    """
    offered = constant(stages)
    others = [stage for stage in believed(measured(stages)) if stage not in offered]
    ramps = [one for one in others if one.users is None and one.verdict.code is not Limit.WITHIN_CAPACITY]
    users = [one for one in others if one.users is not None]
    if offered or len(users) < len(others):
        users = [one for one in users if one.verdict.code not in _NO_LIMIT]
    return [*ramps, *sorted(users, key=lambda stage: -(stage.actual_rps or 0.0))]


def _is_sustained(stage: Stage) -> bool:
    """Return whether a stage achieved its rate and passed its thresholds; a probe, its search's conditions.

    One that was aborted does not, whatever it achieved until then.
    """
    kept_up = stage.verdict.code is Limit.WITHIN_CAPACITY and not failed_thresholds(stage)
    within = stage.find.holds if stage.find else kept_up
    can_be_judged = stage.status is not StageStatus.ABORTED and stage.validity.status is not Validity.INVALID
    return bool(within) and can_be_judged


def failed_thresholds(stage: Stage) -> int:
    """Return how many thresholds a stage failed; those of a system that died are not judged."""
    return sum(not check.ok and check.why is UNSET for check in stage.thresholds)


def cut_short(stage: Stage) -> bool:
    """Return whether a stage was aborted before it showed a limit, so that its rate is not judged."""
    return stage.status is StageStatus.ABORTED and stage.verdict.code in _NO_LIMIT


def state(stage: Stage) -> str:
    """Return what stands in place of a stage's verdict: that it was not run, aborted, or supports none.

    Empty for a stage with a verdict.
    """
    if stage.status is StageStatus.NOT_RUN:
        return "not run"
    if cut_short(stage):
        return "aborted"
    if stage.verdict.code is not Limit.UNDETERMINED:
        return ""
    if stage.status is StageStatus.FAILED:
        return "failed"
    return "invalid" if stage.validity.status is Validity.INVALID else ""


def limit_or_state(stage: Stage) -> str:
    """Return the code of the stage's verdict, with its node; else why it has none."""
    return state(stage) or probe_result(stage) or stage.verdict.name


def probe_result(stage: Stage) -> str:
    """Return why a probe's rate is not sustained although nothing limited it; empty for all other stages."""
    if stage.find is None or stage.find.holds or stage.verdict.code is not Limit.WITHIN_CAPACITY:
        return ""
    return "undecided" if undecided(stage) else "condition failed"


def undecided(stage: Stage) -> bool:
    """Return whether it is a probe that shows neither that its rate is sustained nor that it is not."""
    return stage.find is not None and stage.find.holds is None


def measured(stages: Sequence[Stage]) -> list[Stage]:
    """Return stages that ran."""
    return [stage for stage in stages if stage.achieved is not None or (stage.users and stage.workers)]


def says_nothing(stage: Stage) -> bool:
    """Return whether a stage is invalid for another reason than a system under test that failed."""
    causes = {doubt.code for doubt in stage.validity.doubts}
    failed_itself = stage.status is StageStatus.FAILED and causes <= {DoubtCode.SYSTEM_FAILED}
    return stage.validity.status is Validity.INVALID and not failed_itself


def believed(stages: Sequence[Stage]) -> list[Stage]:
    """Return stages that conclusions may rest on."""
    return [stage for stage in stages if stage.validity.status is not Validity.INVALID]


def failed(stages: Sequence[Stage]) -> list[Stage]:
    """Return the stages in which the system under test failed."""
    return [stage for stage in stages if stage.status is StageStatus.FAILED]
