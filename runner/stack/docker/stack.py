"""A stack of containers that is up: where it is, what to watch, and whether it still lives."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from runner.core.facts import Endpoint, Event, Role, Subject
from runner.core.units import BYTES_PER_MIB, Seconds
from runner.stack.command import in_words
from runner.stack.docker import labels
from runner.stack.docker.containers import Plan
from runner.stack.docker.engine import Engine, EngineGone, EngineRefused, translated
from runner.stack.docker.events import listen
from runner.stack.secrets import hidden

_LOG_LINES: Final = 20
_ENGINE_KNOWS_WITHIN_S: Final[Seconds] = 1.0
_ASK_AGAIN_S: Final[Seconds] = 0.02


@dataclass(frozen=True, slots=True)
class Started:
    """A container that was started.

    Attributes:
        plan: What was asked for.
        id: The engine's id of it.
        pid: Its first process, as this machine sees it.
        started: That process's start time; a process is both.
        host: Where it is reached from this machine.
        published: Its port on 127.0.0.1 of this machine, None when it has none.
    """

    plan: Plan
    id: str
    pid: int
    started: int | None
    host: str
    published: int | None

    @property
    def alive(self) -> bool:
        """Whether its first process still runs."""
        return self.started is not None and labels.start_ticks(self.pid) == self.started

    def url(self, path: str) -> str:
        """A path of it, asked directly and not through a proxy."""
        return f"http://{self.host}:{self.plan.port}{path}"


@dataclass(slots=True)
class DockerStack:
    """Implements `runner.stack.protocols.Stack`.

    Attributes:
        metrics_urls: Replica to the URL of its metrics; empty without ``app.metrics``.
        status_urls: Nginx to its stub_status; empty without a proxy.
    """

    engine: Engine
    run_id: str
    containers: tuple[Started, ...]
    endpoint: Endpoint
    subjects: tuple[Subject, ...]
    description: Mapping[str, object]
    metrics_urls: Mapping[str, str]
    status_urls: Mapping[str, str]
    _broken: Event | None = None

    @property
    def broken(self) -> Event | None:
        """Why the stack can no longer be used; asks the engine only when a process is gone."""
        if self._broken is None and not all(container.alive for container in self.containers):
            self._broken = post_mortem(self.engine, self.containers)
        return self._broken

    async def wait_broken(self) -> Event:
        """Wait for the engine to report an end, or to end itself; nothing is polled."""
        filters = {"label": [f"{labels.RUN}={self.run_id}"], "event": ["die", "oom"]}
        try:
            async with listen(self.engine, filters) as news:
                self._broken = await self.engine.call(post_mortem, self.engine, self.containers)
                while self._broken is None:
                    event = await news.next()
                    self._broken = await self.engine.call(self._meaning, event)
        except EngineGone:
            self._broken = _engine_ended()
        return self._broken

    def _meaning(self, event: Mapping[str, Any] | None) -> Event | None:
        """What the engine's word means for the stack. Blocks."""
        if event is None:  # its stream ends when the engine does
            return _engine_ended()
        if event["Action"] == "oom":
            for container in self.containers:
                if container.id == event["id"]:
                    return _out_of_memory(container.plan, last_lines(self.engine, container))
        return post_mortem(self.engine, self.containers)


def post_mortem(engine: Engine, containers: Sequence[Started]) -> Event | None:
    """Look for a container that ended, and say what of. Blocks.

    A process that is gone is a moment ahead of the engine's knowledge of it, so the engine
    is asked again for up to a second; without a process gone it is asked once.
    """
    until = time.monotonic() + _ENGINE_KNOWS_WITHIN_S
    while True:
        found = next(filter(None, (_examine(engine, container) for container in containers)), None)
        if found or all(it.alive for it in containers) or time.monotonic() > until:
            return found
        time.sleep(_ASK_AGAIN_S)


def _examine(engine: Engine, container: Started) -> Event | None:
    try:
        state = translated(engine.api.inspect_container, container.id)["State"]
        if not state["Running"] or state["OOMKilled"]:
            return _ended(container, state, last_lines(engine, container))
    except EngineRefused as refused:
        return Event("stack-failed", f"{container.plan.name} is not there any more: {refused.reason}")
    except EngineGone:
        return _engine_ended()
    return None


def last_lines(engine: Engine, container: Started, count: int = _LOG_LINES) -> tuple[str, ...]:
    """What a container said last, on both of its streams, what it was passed on hidden. Blocks."""
    output = translated(engine.api.logs, container.id, tail=count)
    return tuple(hidden(output.decode(errors="replace"), container.plan.secrets).splitlines())


def _ended(container: Started, state: Mapping[str, Any], log: tuple[str, ...]) -> Event:
    plan = container.plan
    if state["OOMKilled"]:
        return _out_of_memory(plan, log)
    status = state["ExitCode"]
    how = in_words(128 - status if status > 128 else status)  # as a shell says it
    code = "app-died" if plan.role is Role.APP else "stack-failed"
    return Event(code, f"{plan.name} {how}", log=log)


def _out_of_memory(plan: Plan, log: tuple[str, ...]) -> Event:
    limit = f"its limit of {plan.memory_bytes / BYTES_PER_MIB:g} MiB" if plan.memory_bytes else "memory"
    return Event("out-of-memory", f"{plan.name} ran out of {limit}", log=log)


def _engine_ended() -> Event:
    return Event("stack-failed", "the Docker Engine does not answer any more")
