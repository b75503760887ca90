"""What nodes that are lost in a stage, or before one, mean for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from runner.cluster.errors import AgentFailed, first_of
from runner.core.facts import Event
from runner.core.load_facts import LoadFacts
from runner.core.node_facts import losses
from runner.core.units import PerSecond

if TYPE_CHECKING:
    from runner.cluster.client import Cluster
    from runner.load.nodes import GeneratorNodes


def lost_events(load: LoadFacts | None) -> tuple[Event, ...]:
    """Return an event for each reason why nodes were lost while they sent load, in the order of time."""
    if load is None:
        return ()
    what = "users" if load.scenarios else "requests"
    return tuple(Event("generator-lost", loss.sentence, t_s=loss.at_s) for loss in losses(load.nodes, what))


def agent_fault(error: BaseException) -> AgentFailed | None:
    """Return the loss of an agent that is all that went wrong; trio's nurseries raise it in groups."""
    if isinstance(error, BaseExceptionGroup):
        faults, rest = error.split(AgentFailed)
        error = first_of(faults) if faults is not None and rest is None else error
    return error if isinstance(error, AgentFailed) else None


def why_not_offered(site: GeneratorNodes, rate: PerSecond) -> str:
    """Return why the nodes that are left cannot offer a rate, as a clause; empty if none is lost."""
    lost = [f"{name} ({site.cluster.lost[name].reason})" for name in site.names if name in site.cluster.lost]
    if not lost:
        return ""
    left = [name for name in site.names if name not in site.cluster.lost]
    if not left:
        return f"no node is left that sends load; lost are {_joined(lost)}"
    ceilings = [site.ceilings.get(name) for name in left]
    known = [ceiling for ceiling in ceilings if ceiling]
    if len(known) == len(left) and sum(known) < rate:
        return (
            f"{_joined(left)} can offer {sum(known):,.0f} of {rate:,g} requests per second; lost are "
            f"{_joined(lost)}"
        )
    return ""


def _joined(names: Sequence[str]) -> str:
    return ", ".join(names)


async def ask_again(site: GeneratorNodes, cluster: Cluster, say: Callable[[str], None]) -> None:
    """Bring the nodes back that are lost but can run a new agent; those take part in the next stage.

    Args:
        site: The nodes that send the load; those that are back are in its `returned`.
        cluster: Their agents.
        say: Shows the user a line of progress.
    """
    site.returned = ()
    if not cluster.lost or cluster.hub_lost:
        return
    for name in cluster.lost:
        site.files.forget(name)
    site.returned = await cluster.bring_back()
    for name in site.returned:
        say(f"{name} takes part again, with a new agent")
    for note in absent(site, cluster).values():
        say(note)


def absent(site: GeneratorNodes, cluster: Cluster) -> dict[str, str]:
    """Return a sentence for each node that is lost, by its name: the others send its load."""
    lost = {name: cluster.lost[name].reason for name in site.names if name in cluster.lost}
    return {
        name: f"{name} takes no part, and others send its load: it was lost before ({reason})"
        for name, reason in lost.items()
    }
