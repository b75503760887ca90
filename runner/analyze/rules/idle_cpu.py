"""Whether CPU was available to a stage that fell short: then its requests waited for something else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from runner.analyze import programs
from runner.analyze.kernel_counters import counters, is_local, stolen_cores
from runner.analyze.rules.cpu_bounds import THROTTLED, throttled_shares
from runner.analyze.rules.parts import host_name, largest_consumer, roles
from runner.analyze.rules.threads import IDLE_THREAD, many_wanted, threads, wanted_in_turn
from runner.core.codes import Role
from runner.core.stage_results import Stage
from runner.core.units import percent

IDLE_HOST: Final = 0.85
"""Host CPU up to which some is available (netdata's warning alarm)."""
BUSY_UNOBSERVED: Final = 0.5
"""Cores of programs that are not observed from which one of their threads may have been busy whenever a
request was in flight: only their sum is known. Our own bound."""
_APART: Final = 0.05
_OFTEN_IDLE: Final = 0.5
_OFTEN_STOPPED: Final = 0.5
"""Share of the time that a quota stopped a part from which requests waited for CPU; our own bound."""


@dataclass(frozen=True, slots=True)
class CpuUse:
    """How a stage used CPU.

    Attributes:
        system: Cores that the host used.
        busy: Why CPU may have been missing; empty if it was available.
        wanted: If programs outside used most of a busy host: the share of the time in which the system's
            threads wanted a processor; None on a host with idle CPU.
    """

    system: float
    busy: str
    wanted: float | None = None

    @property
    def is_doubtful(self) -> bool:
        """Whether the system wanted CPU so often that other programs may have delayed it."""
        return self.wanted is not None and self.wanted > _OFTEN_IDLE


@dataclass(frozen=True, slots=True)
class _Busiest:
    """What was measured, the share of a core that a thread used at most, and up to where that is idle."""

    name: str
    used: float
    bound: float


def cpu_use(stage: Stage, cores: int | None) -> CpuUse | None:
    """Return whether CPU was available; None if nothing was measured that could tell.

    On a busy host, waits for a quota and for other programs cannot be told apart.
    """
    system, busiest = stage.cpu_cores.get(Role.SYSTEM), _busiest(stage)
    if not cores or system is None or busiest is None:
        return None
    if stopped := _stopped(stage):
        return CpuUse(system.avg, stopped)
    wanted = max((thread.wanted for role in roles(stage) for thread in threads(stage, role)), default=0.0)
    busy_thread = max(busiest.used, wanted) > busiest.bound
    busy_host = system.avg > IDLE_HOST * cores
    if busy_host and not busy_thread and not largest_consumer(stage).is_part(stage):
        in_turn = wanted_in_turn(stage)
        if in_turn is None or _is_throttled(stage):
            return None
        if in_turn <= IDLE_THREAD and not many_wanted(stage):
            return CpuUse(system.avg, "", in_turn)
    host = f"{host_name(stage)} {system.avg:.2f} of {cores} cores"
    busy = f"CPU was busy: {host}, {busiest.name} {busiest.used:.2f}" + (
        f", one thread wanted {wanted:.2f}" if wanted > busiest.used + _APART else ""
    )
    return CpuUse(system.avg, busy if busy_host or busy_thread else "")


def _is_throttled(stage: Stage) -> bool:
    """Return whether a quota stopped a part so often that its threads may have waited for that."""
    return max(_throttled(stage).values(), default=0.0) > THROTTLED


def _throttled(stage: Stage) -> dict[str, float]:
    return {name: share for role in roles(stage) for name, share in throttled_shares(stage, role).items()}


def _stopped(stage: Stage) -> str:
    """Return that a CPU quota stopped a part most of the time, so that it had none to spare; else empty."""
    shares = _throttled(stage)
    name = max(shares, key=lambda subject: shares[subject], default="")
    if not name:
        return ""
    stopped = stage.throttling_by_subject[name].waited_s / stage.window_s
    if shares[name] <= IDLE_THREAD and stopped < _OFTEN_STOPPED:
        return ""
    return f"the CPU limit of {name} throttled it in {percent(shares[name])} of the periods"


def _busiest(stage: Stage) -> _Busiest | None:
    """Return the bound; None if nothing was measured.

    A service on this host that is not observed can have used all CPU that no observed role used, and it may
    have needed what the hypervisor took.
    """
    known = [("the busiest thread", counter.after) for counter in counters(stage, "threads.hottest_cores")]
    if known:
        known += [
            (f"a thread of {programs.name_of(it)}", it.busiest_thread or 0.0)
            for it in programs.services(stage)
        ]
        name, used = max(known, key=lambda thread: thread[1])
        return _Busiest(name, used, IDLE_THREAD)
    if own := stage.cpu_cores.get(Role.APP):
        return _Busiest("the app", own.avg, IDLE_THREAD)
    other = stage.cpu_cores.get(Role.OTHER) if is_local(stage) else None
    if other is None:
        return None
    return _Busiest("programs that were not observed", other.avg + stolen_cores(stage), BUSY_UNOBSERVED)
