"""Why a stage has no counter-experiment although they were asked for."""

from __future__ import annotations

from runner.core.codes import Limit, StageStatus, Validity
from runner.core.stage_results import Stage, Verdict
from runner.experiment.counter_experiments import changes_for, possible_changes
from runner.experiment.model import Configuration, Topology


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
    if stage.validity.status is Validity.INVALID and stage.verdict.code is Limit.UNDETERMINED:
        return "the stage is invalid"
    return _not_possible(configuration, stage.verdict)


def _not_possible(configuration: Configuration, verdict: Verdict) -> str:
    limit, service, topology = verdict.code, verdict.service, configuration.topology
    if limit is Limit.WITHIN_CAPACITY:
        return "none is needed, because no limit was found"
    if changes_for(configuration, limit, service):
        return "it was not run"
    changes = possible_changes(limit, service)
    if not changes:
        return f"no change of the configuration can test {limit}"
    words = ", ".join(change.words for change in changes)
    if topology.external_url is not None:
        return f"this run does not start the system, so nothing of it can be changed to test {limit}: {words}"
    if limit is Limit.SERVICE and service and _runs_already(service, topology):
        return f"this run does not start {service}, so nothing of it can be changed to test {limit}"
    return f"no change that tests {limit} applies to this configuration ({words})"


def _runs_already(service: str, topology: Topology) -> bool:
    """Return whether a service is watched, or is a program outside the experiment."""
    known = topology.service_names
    return service in topology.watch or (known is not None and service not in known)
