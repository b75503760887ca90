"""What a generator lost or could not count: stages without a true account of their requests are invalid."""

from __future__ import annotations

from typing import Final

from runner.analyze.node_validity import explains_missing, lost_generators
from runner.analyze.reason import Reason
from runner.core.codes import DoubtCode
from runner.core.load_facts import LoadFacts
from runner.core.stage_results import Stage

_REQUESTS: Final = "requests"
_SCENARIOS: Final = "scenarios"


def unaccounted(load: LoadFacts | None, stage: Stage) -> list[Reason]:
    """Return problems of the generator: lost workers, and requests that it could not send or count."""
    if load is None:
        return []
    reasons = lost_generators(load)
    known = {reason.text for reason in reasons}  # the losses of nodes are among the lost workers as well
    workers = (text for text in dict.fromkeys(load.lost_workers) if text not in known)
    reasons += [Reason(DoubtCode.WORKER_LOST, text, (text,)) for text in workers]
    requests = stage.requests
    if stage.drops and (unsent := stage.drops.too_late):
        what = "users were never started" if stage.scenarios else "requests were never sent"
        text = f"{unsent:,} {what} because the generator fell behind its schedule"
        reasons.append(Reason(DoubtCode.SENT_TOO_LATE, text, (what,)))
    if no_fd := requests.failures.get("no_fd", 0):
        text = f"{no_fd:,} requests failed because the generator had no free file descriptor"
        reasons.append(Reason(DoubtCode.NO_FILE_DESCRIPTOR, text))
    if (
        load.complete
        and load.engine == "builtin"
        and stage.users is None
        and requests.scheduled != load.planned
        and not explains_missing(load, requests.scheduled)
    ):
        reasons.append(_not_as_planned(_REQUESTS, requests.scheduled, load.planned))
    reasons += _unaccounted_runs(load, stage)
    if requests.sent != requests.succeeded + requests.failed and load.complete:
        reasons.append(Reason(DoubtCode.COUNTS_CONTRADICT, "the request counts do not add up", (_REQUESTS,)))
    return reasons


def _not_as_planned(what: str, counted: int, planned: int) -> Reason:
    text = f"{counted:,} {what} were counted, but {planned:,} were planned"
    return Reason(DoubtCode.NOT_AS_PLANNED, text, (what,))


def _unaccounted_runs(load: LoadFacts, stage: Stage) -> list[Reason]:
    """Return problems of the generator with the runs of scenarios."""
    runs = stage.scenarios
    if runs is None or not load.complete:
        return []
    reasons = []
    planned = sum(scenario.planned for scenario in load.scenarios.values())
    if stage.users is None and runs.scheduled != planned and not explains_missing(load, runs.scheduled):
        reasons.append(_not_as_planned(_SCENARIOS, runs.scheduled, planned))
    ended = runs.completed + runs.failed + runs.unfinished
    if runs.scheduled != runs.started + runs.dropped or runs.started != ended:
        text = "the counts of scenarios do not add up"
        reasons.append(Reason(DoubtCode.COUNTS_CONTRADICT, text, (_SCENARIOS,)))
    return reasons
