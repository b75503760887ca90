"""The parts of a system, and who used the host's CPU: roles, and programs outside that serve the app."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from msgspec import UNSET, UnsetType

from runner.analyze import programs
from runner.analyze.kernel_counters import stolen_cores
from runner.core.codes import Role, RoleName, is_service
from runner.core.observed_results import CounterReading, ProgramUsage
from runner.core.stage_results import Stage

HOST_FULL: Final = 0.95
"""Host CPU from which none is left (netdata's critical alarm)."""
_OF_EVERY_STACK: Final = (Role.APP, Role.PROXY, Role.FORWARDER)
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_NAMES: Final = {
    Role.APP.value: "the app",
    Role.PROXY.value: "the proxy",
    Role.FORWARDER.value: "docker-proxy",
    Role.OTHER.value: "other programs",
}


def role_of(stage: Stage, counter: CounterReading) -> str | None:
    """Return the role of the subject that a counter belongs to."""
    subject = stage.cpu_cores_by_subject.get(counter.scope)
    return subject.role if subject else None


def services(stage: Stage) -> list[str]:
    """Return the names of the services that were observed."""
    roles = (subject.role for subject in stage.cpu_cores_by_subject.values())
    return list(dict.fromkeys(role for role in roles if is_service(role)))


def roles(stage: Stage) -> list[str]:
    """Return the roles of the parts of the system under test, whether or not there are such parts."""
    return [*_OF_EVERY_STACK, *services(stage)]


def word(name: str) -> str | UnsetType:
    """Return a name that a finding can have as its service; of a program, it may be anything."""
    return name if _WORD.fullmatch(name) else UNSET


def title(stage: Stage, scope: str) -> str:
    """Return how a sentence names a subject, so that it can begin with it: ``the service db``."""
    subject = stage.cpu_cores_by_subject.get(scope)
    role = subject.role if subject else scope
    if is_service(role):
        return f"the service {scope}"
    return f"the replica {scope}" if role == Role.APP and scope != role else _NAMES.get(role, scope)


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who used CPU of the host.

    Attributes:
        role: A role, ``other`` for programs outside the experiment.
        name: In words.
        cores: How much it used.
        program: The program outside the experiment that serves the app; None for a role.
    """

    role: RoleName
    name: str
    cores: float
    program: ProgramUsage | None = None

    @property
    def is_stranger(self) -> bool:
        """Whether programs outside the experiment used CPU for something else."""
        return self.role == Role.OTHER and self.program is None and self.cores > 0

    def is_part(self, stage: Stage) -> bool:
        """Return whether it belongs to the system under test, or serves it."""
        return self.program is not None or self.role in roles(stage)


def consumers(stage: Stage) -> list[Consumer]:
    """Return who used the host's CPU, the largest first; a program that serves the app stands for itself."""
    used = {role: usage.avg for role, usage in stage.cpu_cores.items() if usage and role != Role.SYSTEM}
    if Role.OTHER in used:
        served = sum(program.cores for program in programs.services(stage))
        used[Role.OTHER.value] = max(0.0, used[Role.OTHER] - served)
    known = [Consumer(role, _NAMES.get(role, role), cores) for role, cores in used.items()]
    known += [Consumer(Role.OTHER, programs.name_of(it), it.cores, it) for it in programs.services(stage)]
    return sorted(known, key=lambda consumer: -consumer.cores)


def largest_consumer(stage: Stage) -> Consumer:
    """Return who used most of the host's CPU; other programs if nothing is known."""
    return next(iter(consumers(stage)), Consumer(Role.OTHER, _NAMES[Role.OTHER], 0.0))


def used_by(stage: Stage, role: RoleName) -> float | None:
    """Return the cores that a role used; None if it was not observed."""
    usage = stage.cpu_cores.get(role)
    return usage.avg if usage else None


def host_name(stage: Stage) -> str:
    """Return what a sentence calls the machine whose CPU a stage has: of several, the busiest one."""
    return f"{stage.nodes[0].name}, the busiest node," if stage.nodes else "the host"


def host_cpu(stage: Stage) -> str:
    """Return the name of its CPU in evidence."""
    return f"CPU of {stage.nodes[0].name}" if stage.nodes else "host CPU"


def host_use(stage: Stage, cores: int | None) -> str:
    """Return what the host used, as the end of a sentence; empty if that is not known."""
    used = used_by(stage, Role.SYSTEM)
    return f" while the host used {used:.2f} of {cores} cores" if used is not None and cores else ""


def host_is_full(stage: Stage, cores: int | None, bound: float = HOST_FULL) -> bool:
    """Return whether no CPU was left; what the hypervisor took was needed and not available either."""
    used = used_by(stage, Role.SYSTEM)
    return bool(cores) and used is not None and used + stolen_cores(stage) >= bound * (cores or 0)
