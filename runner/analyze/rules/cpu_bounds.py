"""What bounds the CPU of one part of a system: a quota, and the processors that it may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from runner.analyze.kernel_counters import counters
from runner.analyze.rules.parts import role_of, roles, used_by
from runner.analyze.rules.threads import IDLE_THREAD, ONE_CORE, wanted_in_turn
from runner.analyze.rules.types import OWN_BOUND
from runner.core.codes import Role, RoleName
from runner.core.findings import Evidence
from runner.core.stage_results import Stage

THROTTLED: Final = 0.25
"""Share of the periods from which a quota is the limit (kubernetes-mixin, CPUThrottlingHigh)."""


def throttled_shares(stage: Stage, role: RoleName) -> dict[str, float]:
    """Return the share of periods in which a quota stopped each subject of a role that has one."""
    of = {name: subject.role for name, subject in stage.cpu_cores_by_subject.items()}
    costs = {name: cost for name, cost in stage.throttling_by_subject.items() if cost.periods}
    own = {name: cost for name, cost in costs.items() if of.get(name, Role.APP) == role}
    return {name: cost.throttled / cost.periods for name, cost in own.items()}


def throttled_evidence(shares: Mapping[str, float]) -> tuple[Evidence, ...]:
    """Return these shares as evidence."""
    bound = (THROTTLED * 100, "kubernetes-mixin, CPUThrottlingHigh")
    return tuple(
        Evidence(f"{name}, throttled CPU periods", share * 100, "%", *bound)
        for name, share in sorted(shares.items())
    )


@dataclass(frozen=True, slots=True)
class CpuSet:
    """The processors that a part may use, fewer than the host has, and that are used up.

    Attributes:
        used: Cores that the part used.
        together: Cores that all parts of the system with as many processors used.
        allowed: How many processors they may use.
    """

    used: float
    together: float
    allowed: float

    @property
    def is_shared(self) -> bool:
        """Whether the part alone does not use them up."""
        return self.used < ONE_CORE * self.allowed

    def describe(self, name: str, host: str) -> str:
        """Return what was used, and what the host used meanwhile."""
        bound = f"of the {self.allowed:.0f} cores that it may run on{host}"
        if self.is_shared:
            return f"the system used {self.together:.2f} {bound}; {name} used most of it, {self.used:.2f}"
        return f"{name} used {self.used:.2f} {bound}"

    def evidence(self, name: str) -> tuple[Evidence, ...]:
        """Return what was used against its bound."""
        bound = (ONE_CORE * self.allowed, OWN_BOUND)
        if self.is_shared:
            together = Evidence("CPU of the system", self.together, "cores", *bound)
            return together, Evidence(name, self.used, "cores")
        return (Evidence(name, self.used, "cores", *bound),)


def full_cpu_set(stage: Stage, cores: int | None, role: RoleName) -> CpuSet | None:
    """Return the processors that a role is bound to if it uses them up, or most of them with other parts."""
    used, allowed = used_by(stage, role), _allowed(stage, role)
    if used is None or not cores or not 0 < allowed < cores:
        return None
    sharing = [used_by(stage, part) or 0.0 for part in roles(stage) if _allowed(stage, part) == allowed]
    full = CpuSet(used, sum(sharing), allowed)
    if not full.is_shared:
        return full
    wanted = wanted_in_turn(stage)
    starved = wanted is not None and wanted > IDLE_THREAD
    return full if starved and used >= max(sharing) and full.together >= ONE_CORE * allowed else None


def _allowed(stage: Stage, role: RoleName) -> float:
    """Return how many processors a role may use; 0 if that is not known."""
    known = counters(stage, "threads.allowed_cpus")
    return max((counter.after for counter in known if role_of(stage, counter) == role), default=0.0)
