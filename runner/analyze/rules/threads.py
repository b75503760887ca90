"""The busiest thread of each subject: an event loop or an Nginx worker cannot use more than one core."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from runner.analyze.kernel_counters import counters
from runner.analyze.little import little
from runner.analyze.rules.parts import role_of, roles, used_by
from runner.analyze.rules.types import OWN_BOUND
from runner.core.codes import Role, RoleName
from runner.core.findings import Evidence
from runner.core.stage_results import Stage

ONE_CORE: Final = 0.85
"""Share of one core from which a thread was busy all the time; our own bound."""
OWN_SHARE: Final = 0.8
"""Share of the time that a thread wanted a processor and had one, from which more processors would hardly
help: being one thread is the limit. Our own bound."""
IDLE_THREAD: Final = 0.8
"""Share of the time that threads wanted a processor up to which they were idle often enough to do more."""
SERIAL: Final = (0.9, 1.1)
"""Cores that a process with several threads uses if only one of them runs at a time; our own bounds."""
_MOST_OF_THEM: Final = 0.5
_WANTED: Final = "CPU wanted by the busiest threads of the system together"
_A_CORE: Final = "a thread cannot use more than one core"
_ONE_AT_A_TIME: Final = "one thread at a time, one core"


@dataclass(frozen=True, slots=True)
class Thread:
    """The busiest thread of a subject over the window.

    Attributes:
        name: The subject.
        used: Share of one core that it used.
        wanted: Share of the time that it ran or waited for a processor.
    """

    name: str
    used: float
    wanted: float

    @property
    def is_full(self) -> bool:
        """Whether it was busy all the time and hardly ever waited for a processor."""
        return self.used >= ONE_CORE or (self.wanted >= ONE_CORE and self.used >= OWN_SHARE * self.wanted)

    def describe(self, host: str) -> str:
        """Return what it used, what the host used meanwhile, and why it cannot use more."""
        waited = "" if self.used >= ONE_CORE else f", waited {self.wanted - self.used:.2f} for one"
        return f"{self.name} used {self.used:.2f} of a core{waited}{host}: {_A_CORE}"

    def evidence(self, noun: str) -> Iterator[Evidence]:
        """Yield what it used, and what it wanted if only that shows that it was full."""
        yield Evidence(f"busiest {noun} of {self.name}", self.used, "cores", ONE_CORE, _A_CORE)
        if self.used < ONE_CORE:
            yield self.wanted_evidence()

    def wanted_evidence(self) -> Evidence:
        """Return how much of the time it ran or waited for a processor."""
        name = f"a thread of {self.name} ran or was ready to run"
        return Evidence(name, self.wanted * 100, "%", ONE_CORE * 100, _A_CORE)


def busiest_thread(stage: Stage, role: RoleName) -> Thread | None:
    """Return the busiest thread of a role: a full one, else the one that used most CPU."""
    return max(threads(stage, role), key=lambda thread: (thread.is_full, thread.used), default=None)


def threads(stage: Stage, role: RoleName) -> list[Thread]:
    """Return the busiest thread of each subject of a role.

    Some kernels count waiting for a CPU quota as waiting for a processor; that is left out.
    """
    wanted = {counter.scope: counter.after for counter in counters(stage, "threads.runnable_share")}
    return [
        Thread(c.scope, c.after, max(c.after, wanted.get(c.scope, 0.0) - _share_of_quota(stage, c.scope)))
        for c in counters(stage, "threads.hottest_cores")
        if role_of(stage, c) == role
    ]


def _share_of_quota(stage: Stage, subject: str) -> float:
    """Return the share of the time that a thread can have waited for its quota; all where that is not known.

    The kernel adds up what each processor was kept from running, so that it may be less.
    """
    cost = stage.throttling_by_subject.get(subject)
    if cost is None or not cost.throttled:
        return 0.0
    return min(1.0, cost.waited_s / stage.window_s) if cost.waited_s else 1.0


@dataclass(frozen=True, slots=True)
class SerialProcess:
    """A process with several threads that together use no more than one core.

    An interpreter lock, or a setting such as GOMAXPROCS=1, lets only one of them run at a time.

    Attributes:
        name: The subject.
        used: Cores that the threads of the process used together.
    """

    name: str
    used: float

    def evidence(self) -> Evidence:
        """Return what it used."""
        name = f"threads of the busiest process of {self.name} together"
        return Evidence(name, self.used, "cores", SERIAL[0], _ONE_AT_A_TIME)


def serial_process(stage: Stage, role: RoleName) -> SerialProcess | None:
    """Return the busiest process of a role if its threads seem to run one at a time; None if none does."""
    counts = {counter.scope: counter.after for counter in counters(stage, "threads.count")}
    found = (
        SerialProcess(counter.scope, counter.after)
        for counter in counters(stage, "threads.hottest_process_cores")
        if role_of(stage, counter) == role and counts.get(counter.scope, 0) > 1
    )
    least, most = SERIAL
    serial = (process for process in found if least <= process.used <= most)
    return max(serial, key=lambda process: process.used, default=None)


def wanted_in_turn(stage: Stage) -> float | None:
    """Return the share of the time in which a request's threads can have wanted a processor.

    A request is processed by one thread of each part after another. The sum, over the parts, of the share in
    which the thread that wanted a processor most ran or was ready to run is therefore an upper bound for it.
    None if the kernel did not tell how long threads waited.
    """
    if not any(counters(stage, "threads.runnable_share")):
        return None
    most = (max((it.wanted for it in threads(stage, role)), default=None) for role in roles(stage))
    known = [wanted for wanted in most if wanted is not None]
    return sum(known) if known else None


def many_wanted(stage: Stage) -> bool:
    """Return whether many threads wanted a processor at a time, although no single one did so very often.

    A server that gives each request to the next of many threads keeps none of them busy. The average number
    of threads that ran or were ready to run is compared with the number that have a request.
    """
    ready, known = _threads_ready(stage), little(stage)
    if ready is None or known is None:
        return False
    of_app = (it.after for it in counters(stage, "threads.count") if role_of(stage, it) == Role.APP)
    return ready > max(IDLE_THREAD, _MOST_OF_THEM * min(known.in_flight, sum(of_app)))


def wanted_evidence(wanted: float) -> Evidence:
    """Return what the busiest threads of all parts wanted together."""
    return Evidence(_WANTED, wanted, "cores", IDLE_THREAD, OWN_BOUND)


def ready_evidence(stage: Stage, wanted: float) -> Iterator[Evidence]:
    """Yield what shows that the system wanted a processor, `wanted` by its busiest threads together."""
    yield wanted_evidence(wanted)
    ready = _threads_ready(stage)
    if ready is not None and many_wanted(stage):
        yield Evidence("threads of the system that ran or waited for a processor", ready, "threads")


def _threads_ready(stage: Stage) -> float | None:
    """Return how many threads ran or were ready to run on average; None if the kernel did not tell.

    Waiting for a CPU quota is left out, as in `threads`.
    """
    quota, known = _stopped_by_quota(stage), counters(stage, "threads.waited_s")
    waited_s = [0.0 if counter.scope in quota else counter.delta or 0.0 for counter in known]
    used = sum(used_by(stage, role) or 0.0 for role in roles(stage))
    return sum(waited_s) / stage.window_s + used if waited_s else None


def _stopped_by_quota(stage: Stage) -> frozenset[str]:
    """Return the subjects whose CPU quota stopped them."""
    return frozenset(name for name, share in stage.throttling_by_subject.items() if share.throttled)
