"""Why a stage has no counter-experiment although they were asked for."""

from __future__ import annotations

from runner.core.codes import Limit, StageStatus
from runner.core.results import Stage
from runner.experiment.counter_experiments import changes_for, possible_changes
from runner.experiment.model import Configuration


def unproven(configuration: Configuration, stage: Stage) -> str:
    """Return the reason, without capital and full stop; empty where none is due.

    A further repeat needs none: the first one has it.
    """
    if not configuration.prove or stage.verdict.counter_experiment or stage.repeat > 1:
        return ""
    if stage.status is StageStatus.NOT_RUN:
        return ""
    if stage.find:
        return "probes of a search have none: run the rate as a stage of its own to test its limit"
    if stage.status is not StageStatus.COMPLETE:
        return f"the stage is {stage.status}"
    return _not_possible(configuration, stage.verdict.code)


def _not_possible(configuration: Configuration, limit: Limit) -> str:
    if limit is Limit.WITHIN_CAPACITY:
        return "none is needed, because no limit was found"
    changes = possible_changes(limit)
    if not changes:
        return f"no change of the configuration can test {limit}"
    if not changes_for(configuration, limit):
        return f"no change that tests {limit} applies to this configuration ({', '.join(changes)})"
    return "it was not run"
