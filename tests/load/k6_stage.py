"""Runs one stage with k6 as a trial does, against a port of this machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import trio

from runner.core.endpoint import Endpoint
from runner.core.load_facts import LoadFacts, LoadSecond
from runner.experiment.model import Expect, Load, Request, Stage
from runner.load.engine import LoadOrder, LoadStarted
from runner.load.k6.engine import k6


def order(
    port: int,
    *,
    path: str = "/good",
    rps: float | None = 100,
    users: Any = None,
    duration: float = 1.0,
    warmup: float = 0.0,
    request: dict[str, Any] | None = None,
    expect: dict[str, Any] | None = None,
    **load: Any,
) -> LoadOrder:
    return LoadOrder(
        Endpoint("127.0.0.1", port),
        Load(
            engine="k6",
            request=Request(path=path, **(request or {})),
            expect=Expect(**(expect or {})),
            **({"timeout": 2.0} | load),
        ),
        Stage(name="stage", rps=rps, users=users, duration=duration, warmup=warmup),
    )


@dataclass
class Run:
    """What a trial learns about a stage."""

    spawned: list[int] = field(default_factory=list)
    reported: list[LoadSecond] = field(default_factory=list)
    started: LoadStarted | None = None
    facts: LoadFacts | None = None

    def total(self, count: str) -> int:
        assert self.facts
        return sum(getattr(second, count) for second in self.facts.seconds)

    @property
    def failures(self) -> dict[str, int]:
        assert self.facts
        kinds: dict[str, int] = {}
        for second in self.facts.seconds:
            for kind, count in second.failures.items():
                kinds[kind] = kinds.get(kind, 0) + count
        return kinds

    def completed_in_window(self, seconds: int) -> int:
        assert self.facts
        return sum(s.completed for s in self.facts.seconds if 0 <= s.index < seconds)


async def offer(
    stage: LoadOrder, meanwhile: Callable[[Run], Awaitable[None]] | None = None, run: Run | None = None
) -> Run:
    """Offer a stage; `meanwhile` runs beside it once it is announced.

    `run` is filled while the stage runs, so that a test sees what a cancelled one left.
    """
    run = run or Run()

    async def engine(task_status: trio.TaskStatus[LoadStarted]) -> None:
        run.facts = await k6(
            stage, on_spawn=run.spawned.append, on_second=run.reported.append, task_status=task_status
        )

    async with trio.open_nursery() as nursery:
        run.started = await nursery.start(engine)
        if meanwhile:
            await meanwhile(run)
    return run


async def offer_both(one: LoadOrder, other: LoadOrder) -> tuple[Run, Run]:
    """Offer two stages at the same time, each with a k6 of its own."""
    runs = Run(), Run()
    async with trio.open_nursery() as nursery:
        for stage, run in zip((one, other), runs, strict=True):
            nursery.start_soon(offer, stage, None, run)
    return runs
