"""What the pages of the web application share: the folder, its index, and who waits for changes."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes

import trio

from runner.core.errors import UsageError
from runner.core.units import BYTES_PER_MIB, Seconds
from runner.serve.workshop import JobFailed, Workshop
from runner.store.run_candidate import Candidate, unmeasured
from runner.store.run_index import RunIndex
from runner.store.run_summary import Key, RunState, RunSummary

MAX_VIEWERS: Final = 64
"""Of streams of events."""

_BATCH: Final = 25
_SCAN_EVERY_S: Final[Seconds] = 2.0
_SCAN_SHARE: Final = 0.01
"""Of a processor's time, for looking whether there are new runs."""
_SAVE_EVERY_S: Final[Seconds] = 15.0
_PATIENCE_S: Final[Seconds] = 0.25
_FIRST_S: Final[Seconds] = 0.05
"""How long a list waits for the look into the folder, later and at first."""
_MAX_KEPT: Final = 32 * BYTES_PER_MIB


class TooManyViewers(Exception):  # noqa: N818  (reads as the sentence it is)
    """No more streams of events are served."""


@dataclass
class Site:
    """The application's state; all of it belongs to one event loop.

    Attributes:
        folder: Below which the runs are.
        index: Its runs.
        pages: Processes that make pages.
        readers: Processes that read runs for the list.
        closing: Set when the server ends.
        problem: Why the folder cannot be read at the moment; empty if it can.
        awaited: Path of a run that is about to begin; None for none.
        viewers: How many streams of events are open.
        requests: How many requests are under way.
        owed: How many viewers were told that the run has ended and have not asked for its report yet.
        asked_at: When the last one began or ended, as `time.monotonic`.
    """

    folder: Path
    index: RunIndex
    pages: Workshop = field(default_factory=lambda: Workshop(2))
    readers: Workshop = field(default_factory=lambda: Workshop(1))
    closing: trio.Event = field(default_factory=trio.Event)
    problem: str = ""
    awaited: str | None = None
    viewers: int = 0
    requests: int = 0
    owed: int = 0
    asked_at: float = float("-inf")
    _changed: trio.Event = field(default_factory=trio.Event)
    _asked: trio.Event = field(default_factory=trio.Event)
    _looked: trio.Event = field(default_factory=trio.Event)
    _to_read: trio.Event = field(default_factory=trio.Event)
    _scanning: trio.Lock = field(default_factory=trio.Lock)
    _scanned_at: float = float("-inf")
    _scan_again_s: Seconds = 0.0
    _saved_at: float = 0.0
    _kept: OrderedDict[tuple[str, Key], bytes] = field(default_factory=OrderedDict)

    @property
    def reading(self) -> int:
        """How many runs were not read yet; before the first look into the folder at least one."""
        return self.index.unread if self.index.has_looked or self.problem else max(self.index.unread, 1)

    def find(self, raw: bytes) -> RunSummary | None:
        """Return the run that the end of an address names; only what the index knows has an address."""
        return self.index.get(os.fsdecode(unquote_to_bytes(raw)))

    async def freshen(self, *, at_once: bool = False) -> None:
        """Look for new and changed runs; unless it must be `at_once`, not if that was done just now."""
        async with self._scanning:
            if not at_once and time.monotonic() < self._scanned_at + self._scan_again_s:
                return
            begun = time.monotonic()
            before = self.index.version
            try:
                found = await trio.to_thread.run_sync(self.index.look, abandon_on_cancel=True)
                self.index.take(found, again=at_once)
                self.problem = ""
            except UsageError as error:
                self.problem = error.message
            self._scanned_at = time.monotonic()
            self._scan_again_s = max(_SCAN_EVERY_S, (self._scanned_at - begun) / _SCAN_SHARE)
            if self.index.version != before:
                self.announce()
            if self.index.has_waiting:
                self._to_read.set()

    async def look_when_asked(self) -> None:
        """Look for new and changed runs whenever that is asked for; runs until it is cancelled."""
        while True:
            await self._asked.wait()
            self._asked = trio.Event()
            await self.freshen()
            looked, self._looked = self._looked, trio.Event()
            looked.set()

    def ask(self) -> None:
        """Ask for a look at new and changed runs."""
        self._asked.set()

    async def glance(self) -> None:
        """Look for new and changed runs, but wait for that only a moment: the list says what comes later.

        The first list shows at once what is known from the last time, if anything is.
        """
        looked = self._looked
        self.ask()
        is_known = bool(self.index.rows) and not self.index.has_looked
        with trio.move_on_after(_FIRST_S if is_known else _PATIENCE_S):
            await looked.wait()

    async def watch(self) -> None:
        """Look for changes while there are viewers; runs until it is cancelled."""
        while True:
            await trio.sleep(max(self._scan_again_s, _SCAN_EVERY_S))
            if self.viewers:
                await self.freshen()

    async def read_runs(self) -> None:
        """Read runs that are new or have changed; runs until it is cancelled."""
        while True:
            await self._to_read.wait()
            self._to_read = trio.Event()
            for batch in _batches(self.index.waiting()):
                self.index.put(await self._read(batch))
                self.announce()
                if time.monotonic() > self._saved_at + _SAVE_EVERY_S:
                    await self.save()
            await self.save()

    async def save(self) -> None:
        """Write the cache of the index."""
        self._saved_at = time.monotonic()
        await trio.to_thread.run_sync(self.index.save)

    def announce(self) -> None:
        """Wake those who wait for a change."""
        event, self._changed = self._changed, trio.Event()
        event.set()

    async def next_change(self, timeout_s: Seconds) -> bool:
        """Wait for a change; return whether there was one within a time."""
        event = self._changed
        with trio.move_on_after(timeout_s):
            await event.wait()
        return event.is_set()

    def enter(self) -> None:
        """Count a viewer.

        Raises:
            TooManyViewers: There are too many.
        """
        if self.viewers >= MAX_VIEWERS:
            raise TooManyViewers
        self.viewers += 1

    def leave(self) -> None:
        """Count a viewer that has gone."""
        self.viewers -= 1

    async def page(self, run: RunSummary, job: str, *arguments: Any) -> bytes:
        """Return a page of a run, which is made once and kept for a while.

        Raises:
            JobFailed: It cannot be made.
        """
        key = (f"{job} {run.path}", run.key)
        if (known := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return known
        content: bytes = await self.pages.run(job, *arguments)
        self._kept[key] = content
        while len(self._kept) > 1 and sum(map(len, self._kept.values())) > _MAX_KEPT:
            self._kept.popitem(last=False)
        return content

    async def _read(self, batch: Sequence[Candidate]) -> list[RunSummary]:
        """Return the rows of some runs; one that ends the process has a row that says so."""
        try:
            rows: list[RunSummary] = await self.readers.run("summaries", self.folder, batch)
        except JobFailed as error:
            if len(batch) == 1:
                return [unmeasured(batch[0], RunState.DAMAGED, error.message, error.hint)]
            return [row for one in batch for row in await self._read([one])]
        return rows


def address(run: RunSummary) -> str:
    """Return the end of a run's address: its path, with every byte that an address cannot have encoded."""
    return quote(os.fsencode(run.path))


def _batches(candidates: list[Candidate]) -> list[list[Candidate]]:
    """Return candidates in parts: small ones first, so that a list shows something soon."""
    sizes = [4, 8]
    parts, at = [], 0
    while at < len(candidates):
        size = sizes.pop(0) if sizes else _BATCH
        parts.append(candidates[at : at + size])
        at += size
    return parts
