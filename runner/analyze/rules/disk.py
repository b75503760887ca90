"""The rule for disks: a part of the system waits for I/O, and the host's counters or its own limit agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from msgspec import UNSET

from runner.analyze.kernel_counters import counters, counters_with_prefix, increase, per_second
from runner.analyze.rules.io_limits import UsedLimit, most_used_limit
from runner.analyze.rules.parts import roles, word
from runner.analyze.rules.types import CPU_LIMITS, OWN_BOUND, Judgement, Match, Rule
from runner.core.codes import Cause, Confidence, Limit, is_service
from runner.core.findings import Evidence, Finding, RuledOut
from runner.core.stage_results import Stage
from runner.core.units import percent

BLOCKED: Final = 0.5
"""Share of the time that a part of the system waited for I/O from which that is a limit; our own bound."""
BLOCKED_AT_LIMIT: Final = 0.25
"""The same of a part whose control group lets it do no more; our own bound."""
DEVICE_FULL: Final = 0.9
"""Share of the time that a device had requests to process from which it is busy; our own bound, because disks
that process several at once can do more."""
PRESSURE: Final = 0.5
"""Share of the time that some task of the host waited for I/O; our own bound."""
MOST: Final = 0.5
"""Share of a device's bytes from which a part is the one that uses it, where its waits are not measured: many
kernels do not do that by default, and samples miss those of asynchronous I/O. Our own bound."""
_MEASURED: Final = ("io.wait_s", "io.blocked_s")
_SAMPLED: Final = "io.sampled_wait_s"
_HOST_WAITS: Final = ("psi.io.some_s", _SAMPLED)
_MOVED: Final = ("io.read_bytes", "io.written_bytes")
_ADVICE: Final = (
    "write and sync less for each request (batches, fewer flushes), keep more in memory, or use a faster disk"
)
_ADVICE_OF_LIMIT: Final = (
    "raise the limit of I/O (blkio_config in a compose file, io.max or blkio.throttle of the control group), "
    "or write and sync less for each request"
)


class _Part(NamedTuple):
    """A part of the system and what shows that it needs the disk.

    Attributes:
        name: The subject.
        waited: Share of the window that it waited for I/O, measured or sampled; None where that is not known.
        is_measured: Whether the kernel measured that, and not only samples show it.
        moved: Its share of the bytes that the busiest device read and wrote, at most 1.
        limit: The limit of its control group that it used most; None without any.
    """

    name: str
    waited: float | None
    is_measured: bool
    moved: float
    limit: UsedLimit | None = None

    @property
    def bound(self) -> float:
        """Share of the time from which its waits are a limit."""
        return BLOCKED_AT_LIMIT if self.is_at_limit else BLOCKED

    @property
    def waits(self) -> bool:
        """Whether it waits for I/O most of the time."""
        return self.waited is not None and self.waited >= self.bound

    @property
    def uses_device(self) -> bool:
        """Whether the device is busy for it, and nothing shows that it did not wait."""
        return self.moved >= MOST and not self.is_measured

    @property
    def is_at_limit(self) -> bool:
        """Whether its control group lets it do no more."""
        return self.limit is not None and self.limit.is_used_up


class _Device(NamedTuple):
    """A disk, the share of the window that it was busy, and the bytes that it read and wrote."""

    name: str
    busy: float
    moved_bytes: float


def _judge(stage: Stage, cores: int | None) -> Judgement:
    """Match if a part of the system mostly waited for I/O; a busy disk alone may be someone else's."""
    del cores
    device = _busiest(stage)
    part = max(_parts(stage, device), key=_need, default=None)
    if part is None or (part.waited is None and device is None):
        return None
    is_full = (device is not None and device.busy >= DEVICE_FULL) or _pressure(stage) >= PRESSURE
    agrees = is_full or part.is_at_limit
    summary = _summary(part, device)
    if not part.waits and not (part.uses_device and agrees):
        return RuledOut(Limit.IO, summary)
    is_likely = agrees and (part.waits or part.waited is None)
    role = stage.cpu_cores_by_subject[part.name].role
    return Match(
        Finding(
            Limit.IO,
            Confidence.LIKELY if is_likely else Confidence.HINT,
            summary,
            (*_part_evidence(part), *_host_evidence(stage, device)),
            _ADVICE_OF_LIMIT if part.is_at_limit else _ADVICE,
            word(role) if is_service(role) else UNSET,
        )
    )


def disk_signs(stage: Stage) -> Iterator[Evidence]:
    """Yield how long each part waited for the disk, what it did of its limit, and how busy the device was."""
    device = _busiest(stage)
    for part in _parts(stage, device):
        yield from _part_evidence(part)
    yield from _host_evidence(stage, device)


def _busiest(stage: Stage) -> _Device | None:
    return max(_devices(stage), key=lambda it: it.busy, default=None)


def _need(part: _Part) -> tuple[bool, float, float]:
    """Return how much a part needs the disk, for comparing parts."""
    return part.is_at_limit, part.waited or 0.0, part.moved


def _summary(part: _Part, device: _Device | None) -> str:
    busy = f"device {device.name} was busy {percent(device.busy)} of the time" if device else ""
    if part.limit is not None and part.is_at_limit:
        busy = part.limit.describe()
    if part.waited is not None:
        return f"{part.name} waited for I/O {percent(part.waited)} of the time" + (busy and f"; {busy}")
    return f"{busy}, and {part.name} did {percent(part.moved)} of its reads and writes"


def _parts(stage: Stage, device: _Device | None) -> Iterator[_Part]:
    """Yield each part of the system whose I/O is known."""
    moved: dict[str, float] = {}
    for name in _MOVED:
        for counter in counters(stage, name):
            moved[counter.scope] = moved.get(counter.scope, 0.0) + (counter.delta or 0.0)
    measured, sampled = _shares(stage, *_MEASURED), _shares(stage, _SAMPLED)
    total = device.moved_bytes if device else 0.0
    for name, subject in stage.cpu_cores_by_subject.items():
        if subject.role in roles(stage) and (name in moved or name in measured or name in sampled):
            share = min(1.0, moved.get(name, 0.0) / total) if total else 0.0
            waited = max((it[name] for it in (measured, sampled) if name in it), default=None)
            yield _Part(name, waited, name in measured, share, most_used_limit(stage, name))


def _shares(stage: Stage, *names: str) -> dict[str, float]:
    """Return the share of the window that each scope waited, by the first counter that it has."""
    known = {it.scope: per_second(stage, it) for name in reversed(names) for it in counters(stage, name)}
    return {scope: min(1.0, share) for scope, share in known.items()}


def _devices(stage: Stage) -> Iterator[_Device]:
    for counter in counters_with_prefix(stage, "disk.", "host"):
        if counter.name.endswith(".busy_s"):
            disk = counter.name.removesuffix(".busy_s")
            moved = sum(increase(stage, f"{disk}.{way}_bytes", "host") for way in ("read", "written"))
            busy = min(1.0, per_second(stage, counter))
            yield _Device(disk.removeprefix("disk."), busy, moved)


def _pressure(stage: Stage) -> float:
    """Return the share of the window in which some task of the host waited for I/O."""
    return max(increase(stage, name, "host") for name in _HOST_WAITS) / stage.window_s


def _part_evidence(part: _Part) -> Iterator[Evidence]:
    if part.waited is not None:
        yield Evidence(f"{part.name} waited for I/O", part.waited * 100, "%", part.bound * 100, OWN_BOUND)
    else:
        name = f"reads and writes of the device by {part.name}"
        yield Evidence(name, part.moved * 100, "%", MOST * 100, OWN_BOUND)
    if part.limit is not None:
        yield part.limit.evidence()


def _host_evidence(stage: Stage, device: _Device | None) -> Iterator[Evidence]:
    if device is not None:
        name = f"device {device.name} was busy"
        yield Evidence(name, device.busy * 100, "%", DEVICE_FULL * 100, OWN_BOUND)
    if any(counter for name in _HOST_WAITS for counter in counters(stage, name, "host")):
        name = "some task of the host waited for I/O"
        yield Evidence(name, _pressure(stage) * 100, "%", PRESSURE * 100, OWN_BOUND)


IO: Final = Rule(Limit.IO, _judge, follows=CPU_LIMITS, caused_by=frozenset({Cause.SERVICE_MEMORY}))
