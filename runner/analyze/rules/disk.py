"""The rule for disks: a part of the system waits for I/O, and the host's counters agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from msgspec import UNSET

from runner.analyze.kernel_counters import counters, counters_with_prefix, increase
from runner.analyze.rules.parts import roles, word
from runner.analyze.rules.types import CPU_LIMITS, OWN_BOUND, Judgement, Match, Rule
from runner.core.codes import Cause, Confidence, Limit, is_service
from runner.core.findings import Evidence, Finding, RuledOut
from runner.core.stage_results import Stage
from runner.core.units import percent

BLOCKED: Final = 0.5
"""Share of the time that a part of the system waited for I/O from which that is a limit; our own bound."""
DEVICE_FULL: Final = 0.9
"""Share of the time that a device had requests to process from which it is busy; our own bound, because disks
that process several at once can do more."""
PRESSURE: Final = 0.5
"""Share of the time that some task of the host waited for I/O; our own bound."""
MOST: Final = 0.5
"""Share of a device's bytes from which a part is the one that uses it, where its waits are not measured: many
kernels do not do that by default. Our own bound."""
_WAITS: Final = ("io.wait_s", "io.blocked_s")
_MOVED: Final = ("io.read_bytes", "io.written_bytes")
_ADVICE: Final = (
    "write and sync less for each request (batches, fewer flushes), keep more in memory, or use a faster disk"
)


class _Part(NamedTuple):
    """A part of the system and what shows that it needs the disk.

    Attributes:
        name: The subject.
        waited: Share of the window that it waited for I/O; None where the kernel does not measure that.
        moved: Its share of the bytes that the busiest device read and wrote, at most 1.
    """

    name: str
    waited: float | None
    moved: float

    @property
    def needs(self) -> bool:
        """Whether it is the one that the device is busy for."""
        return self.waited >= BLOCKED if self.waited is not None else self.moved >= MOST


class _Device(NamedTuple):
    """A disk, the share of the window that it was busy, and the bytes that it read and wrote."""

    name: str
    busy: float
    moved_bytes: float


def _judge(stage: Stage, cores: int | None) -> Judgement:
    """Match if a part of the system mostly waited for I/O; a busy disk alone may be someone else's."""
    del cores
    device = max(_devices(stage), key=lambda it: it.busy, default=None)
    part = max(_parts(stage, device), key=lambda it: (it.waited or 0.0, it.moved), default=None)
    is_full = (device is not None and device.busy >= DEVICE_FULL) or _pressure(stage) >= PRESSURE
    if part is None or (part.waited is None and device is None):
        return None
    summary = _summary(part, device)
    if not part.needs or (part.waited is None and not is_full):
        return RuledOut(Limit.IO, summary)
    role = stage.cpu_cores_by_subject[part.name].role
    return Match(
        Finding(
            Limit.IO,
            Confidence.LIKELY if is_full else Confidence.HINT,
            summary,
            (*_part_evidence(part), *_host_evidence(stage, device)),
            _ADVICE,
            word(role) if is_service(role) else UNSET,
        )
    )


def _summary(part: _Part, device: _Device | None) -> str:
    busy = f"device {device.name} was busy {percent(device.busy)} of the time" if device else ""
    if part.waited is not None:
        return f"{part.name} waited for I/O {percent(part.waited)} of the time" + (busy and f"; {busy}")
    return f"{busy}, and {part.name} did {percent(part.moved)} of its reads and writes"


def _parts(stage: Stage, device: _Device | None) -> Iterator[_Part]:
    """Yield each part of the system whose I/O is known."""
    moved: dict[str, float] = {}
    for name in _MOVED:
        for counter in counters(stage, name):
            moved[counter.scope] = moved.get(counter.scope, 0.0) + (counter.delta or 0.0)
    waited = {it.scope: (it.delta or 0.0) / stage.window_s for name in _WAITS for it in counters(stage, name)}
    total = device.moved_bytes if device else 0.0
    for name, subject in stage.cpu_cores_by_subject.items():
        if subject.role in roles(stage) and (name in moved or name in waited):
            share = moved.get(name, 0.0) / total if total else 0.0
            yield _Part(name, min(1.0, waited[name]) if name in waited else None, min(1.0, share))


def _devices(stage: Stage) -> Iterator[_Device]:
    for counter in counters_with_prefix(stage, "disk.", "host"):
        if counter.name.endswith(".busy_s"):
            disk = counter.name.removesuffix(".busy_s")
            moved = sum(increase(stage, f"{disk}.{way}_bytes", "host") for way in ("read", "written"))
            busy = min(1.0, (counter.delta or 0.0) / stage.window_s)
            yield _Device(disk.removeprefix("disk."), busy, moved)


def _pressure(stage: Stage) -> float:
    return increase(stage, "psi.io.some_s", "host") / stage.window_s


def _part_evidence(part: _Part) -> Iterator[Evidence]:
    if part.waited is not None:
        yield Evidence(f"{part.name} waited for I/O", part.waited * 100, "%", BLOCKED * 100, OWN_BOUND)
    else:
        name = f"reads and writes of the device by {part.name}"
        yield Evidence(name, part.moved * 100, "%", MOST * 100, OWN_BOUND)


def _host_evidence(stage: Stage, device: _Device | None) -> Iterator[Evidence]:
    if device is not None:
        name = f"device {device.name} was busy"
        yield Evidence(name, device.busy * 100, "%", DEVICE_FULL * 100, OWN_BOUND)
    if any(counters(stage, "psi.io.some_s", "host")):
        name = "some task of the host waited for I/O"
        yield Evidence(name, _pressure(stage) * 100, "%", PRESSURE * 100, OWN_BOUND)


IO: Final = Rule(Limit.IO, _judge, follows=CPU_LIMITS, caused_by=frozenset({Cause.SERVICE_MEMORY}))
