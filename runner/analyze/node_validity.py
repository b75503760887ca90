"""Whether what several machines did together may be believed: lost generators, clocks, busy processors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from runner.analyze.machines import Machine
from runner.analyze.reason import Reason
from runner.analyze.rules.parts import host_is_full, used_by
from runner.core.codes import DoubtCode, Role
from runner.core.load_facts import LoadFacts
from runner.core.node_facts import NodeLoad, losses
from runner.core.node_results import NodeResults
from runner.core.stage_results import Stage
from runner.core.units import Milliseconds

START_ERROR_MS: Final[Milliseconds] = 1.0
"""From how far apart the schedules of nodes may begin that is worth a sentence; our own bound."""
DRIFT_MS: Final[Milliseconds] = 1.0
"""From how much two clocks may move apart in a stage that is worth a sentence; our own bound."""
_LEAST_GENERATOR: Final = 0.1


def lost_generators(load: LoadFacts) -> list[Reason]:
    """Return which nodes that made load were lost, why, and what that left out."""
    what = "users" if load.scenarios else "requests"
    lost = sorted(f"{node.node}: {node.lost}" for node in load.nodes if node.lost)
    return [
        Reason(DoubtCode.GENERATOR_LOST, loss.sentence, (what, *lost)) for loss in losses(load.nodes, what)
    ]


def explains_missing(load: LoadFacts, scheduled: int) -> bool:
    """Return whether lost nodes account for all that was planned and is not among what was counted."""
    lost: Iterable[NodeLoad] = (node for node in load.nodes if node.lost)
    missing = sum(node.not_offered for node in lost)
    return bool(missing) and load.planned - scheduled <= missing


def by_machine(machines: Sequence[Machine], doubt: Callable[[Stage], list[Reason]]) -> Iterator[Reason]:
    """Yield why each machine's figures are doubtful, after its name if it is a node."""
    for machine in machines:
        for reason in doubt(machine.stage):
            yield of(machine, reason)


def of(machine: Machine, reason: Reason) -> Reason:
    """Return a reason after the name of the node that it is about."""
    if not machine.name:
        return reason
    return Reason(reason.code, f"on {machine.name}, {reason.text}", (machine.name, *reason.about))


def full_generators(machines: Sequence[Machine]) -> Iterator[Reason]:
    """Yield which nodes that only make load had no processor left, so that requests may have been late."""
    for machine in machines:
        generator = used_by(machine.stage, Role.GENERATOR) or 0.0
        is_full = host_is_full(machine.stage, machine.cores)
        if machine.name and not machine.has_system and is_full and generator >= _LEAST_GENERATOR:
            used = used_by(machine.stage, Role.SYSTEM) or 0.0
            yield Reason(
                DoubtCode.GENERATOR_WITHOUT_CPU,
                f"{machine.name} used {used:.2f} of its {machine.cores} cores, {generator:.2f} of them for "
                "the generator, which may have sent late",
                (machine.name,),
            )


def clock_notes(nodes: Sequence[NodeResults]) -> tuple[str, ...]:
    """Return what is to be known about nodes that came back and when each load began, in sentences."""
    return tuple(note for node in nodes if node.load for note in _clock_notes(node))


def _clock_notes(node: NodeResults) -> Iterator[str]:
    load = node.load
    if load is None:
        return
    if load.returned:
        yield f"{node.name} was lost before and takes part again, with a new agent"
    if load.lost:
        return
    if load.clock is None or load.start_error_ms is None:
        yield (
            f"the clock of {node.name} could not be compared with the runner's well enough to tell when its "
            "load began"
        )
    elif load.start_error_ms > START_ERROR_MS:
        yield (
            f"the load of {node.name} began up to {load.start_error_ms:.2f} ms before or after that of other "
            "nodes"
        )
    drift_ms = load.clock.drift_ms if load.clock else None
    if drift_ms is not None and abs(drift_ms) > DRIFT_MS:
        yield (
            f"the clock of {node.name} {'gained' if drift_ms > 0 else 'lost'} {abs(drift_ms):.2f} ms against "
            "the runner's during the stage"
        )
