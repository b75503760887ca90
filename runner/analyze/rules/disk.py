"""The rule for disks: a part of the system waits for I/O, and the host's counters agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from msgspec.structs import replace

from runner.analyze.kernel_counters import counters, counters_with_prefix, increase
from runner.analyze.rules.parts import role_of, roles, word
from runner.analyze.rules.types import CPU_LIMITS, OWN_BOUND, Judgement, Match, Rule
from runner.core.codes import Confidence, Limit, is_service
from runner.core.results import Evidence, Finding, RuledOut, Stage
from runner.core.units import percent

BLOCKED: Final = 0.5
"""Share of the time that a part of the system waited for I/O from which that is a limit; our own bound."""
DEVICE_FULL: Final = 0.9
"""Share of the time that a device had requests to process from which it is busy; our own bound, because disks
that process several at once can do more."""
PRESSURE: Final = 0.5
"""Share of the time that some task of the host waited for I/O; our own bound."""
_WAITS: Final = ("io.wait_s", "io.blocked_s")
_ADVICE: Final = (
    "write and sync less for each request (batches, fewer flushes), keep more in memory, or use a faster disk"
)


class _Share(NamedTuple):
    """A share of the window, and whose it is."""

    name: str
    share: float


def _judge(stage: Stage, cores: int | None) -> Judgement:
    """Match if a part of the system mostly waited for I/O; a busy disk alone may be someone else's."""
    del cores
    part = max(_blocked(stage), key=lambda it: it.share, default=None)
    if part is None:
        return None
    device = max(_devices(stage), key=lambda it: it.share, default=None)
    waits = f"{part.name} waited for I/O {percent(part.share)} of the time"
    busy = f"; device {device.name} was busy {percent(device.share)} of it" if device else ""
    if part.share < BLOCKED:
        return RuledOut(Limit.IO, waits + busy)
    agrees = (device is not None and device.share >= DEVICE_FULL) or _pressure(stage) >= PRESSURE
    role = stage.cpu_cores_by_subject[part.name].role
    finding = Finding(
        Limit.IO,
        Confidence.LIKELY if agrees else Confidence.HINT,
        waits + busy,
        (
            Evidence(f"{part.name} waited for I/O", part.share * 100, "%", BLOCKED * 100, OWN_BOUND),
            *_host_evidence(stage, device),
        ),
        _ADVICE,
    )
    return Match(replace(finding, service=word(role)) if is_service(role) else finding)


def _blocked(stage: Stage) -> Iterator[_Share]:
    """Yield the share of the time that each part of the system waited for I/O."""
    parts = roles(stage)
    for name in _WAITS:
        for counter in counters(stage, name):
            if role_of(stage, counter) in parts:
                yield _Share(counter.scope, min(1.0, (counter.delta or 0.0) / stage.window_s))


def _devices(stage: Stage) -> Iterator[_Share]:
    for counter in counters_with_prefix(stage, "disk.", "host"):
        if counter.name.endswith(".busy_s"):
            device = counter.name.removeprefix("disk.").removesuffix(".busy_s")
            yield _Share(device, min(1.0, (counter.delta or 0.0) / stage.window_s))


def _pressure(stage: Stage) -> float:
    return increase(stage, "psi.io.some_s", "host") / stage.window_s


def _host_evidence(stage: Stage, device: _Share | None) -> Iterator[Evidence]:
    if device is not None:
        name = f"device {device.name} was busy"
        yield Evidence(name, device.share * 100, "%", DEVICE_FULL * 100, OWN_BOUND)
    if any(counters(stage, "psi.io.some_s", "host")):
        name = "some task of the host waited for I/O"
        yield Evidence(name, _pressure(stage) * 100, "%", PRESSURE * 100, OWN_BOUND)


IO: Final = Rule(Limit.IO, _judge, follows=CPU_LIMITS)
