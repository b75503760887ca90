"""Reads the records of a run in progress, once for all who watch it, and keeps what a late viewer needs.

Those who watch ask for what is new, and the first one to ask after a while reads. Nothing is read while
nobody watches.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec
import trio

from runner.core.live import MAX_LINE, LiveRecord, decode_live, encode_live
from runner.core.units import Bytes, Seconds
from runner.serve.live_history import RunHistory
from runner.serve.visible_json import visible_json
from runner.store.live_file import is_in_progress
from runner.store.run_names import LIVE
from runner.store.unfinished import has_results

POLL_S: Final[Seconds] = 0.5
_CHUNK: Final[Bytes] = 1024 * 1024
_KEPT_BATCHES: Final = 60
"""A viewer that is further behind gets everything anew."""
_RECORDS_A_BATCH: Final = 500
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class LiveState(StrEnum):
    """What is known of a run that is watched.

    `DIED`: its runner was killed, or the machine restarted. `FAILED`: it ended without any result.
    """

    WAITING = "waiting"
    RUNNING = "running"
    DIED = "died"
    FAILED = "failed"
    ENDED = "ended"


class LiveTail:
    """The records of one run.

    Args:
        folder: Of the run.
        on_end: Awaited when the run has results, before viewers learn of its end.

    Attributes:
        state: What is known of the run.
        number: Of the last batch of records; those who watch compare it with theirs.
    """

    def __init__(self, folder: Path, on_end: Callable[[], Awaitable[None]]) -> None:
        self.state = LiveState.WAITING
        self.number = 0
        self._folder = folder
        self._on_end = on_end
        self._token = secrets.token_hex(4)
        self._history = RunHistory()
        self._batches: deque[tuple[int, bytes]] = deque(maxlen=_KEPT_BATCHES)
        self._descriptor: int | None = None
        self._rest = b""
        self._lock = trio.Lock()
        self._read_at = float("-inf")

    def close(self) -> None:
        """Close the file; a later reading opens it again, from its beginning."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self._rest, self._history = None, b"", RunHistory()
        self._token = secrets.token_hex(4)

    def position(self, last_id: str) -> int | None:
        """Return the batch that a viewer has, by the identifier of its last event; None if it needs all."""
        token, _, number = last_id.partition("-")
        if token != self._token or not number.isdecimal() or len(number) > len(str(self.number)):
            return None
        oldest = self._batches[0][0] - 1 if self._batches else self.number
        return int(number) if oldest <= int(number) <= self.number else None

    def since(self, position: int | None) -> Iterator[bytes]:
        """Yield the events that bring a viewer up to date.

        Args:
            position: The last batch that it has; None for a viewer that has none.
        """
        if position is None or (self._batches and position < self._batches[0][0] - 1):
            yield b"event: reset\ndata: 0\n\n"
            records = list(self._history.records())
            for at in range(0, len(records), _RECORDS_A_BATCH):
                yield _event(records[at : at + _RECORDS_A_BATCH], "")
            yield _event((), f"{self._token}-{self.number}")
            return
        for number, event in self._batches:
            if number > position:
                yield event

    async def refresh(self) -> None:
        """Read what is new, unless that was done just now."""
        async with self._lock:
            if trio.current_time() < self._read_at + POLL_S:
                return
            while (data := await trio.to_thread.run_sync(self._read)) is not None:
                self._take(self._lines(data))
                if len(data) < _CHUNK:
                    break
            await self._judge()
            self._read_at = trio.current_time()

    def _read(self) -> bytes | None:
        """Return the next bytes of the file; None if there are no more of them, at the moment."""
        if self._descriptor is None and not self._open():
            return None
        assert self._descriptor is not None
        data = os.read(self._descriptor, _CHUNK)
        if not data and self._is_replaced() and self._open():
            data = os.read(self._descriptor, _CHUNK)
        return data or None

    def _open(self) -> bool:
        try:
            descriptor = os.open(self._folder / LIVE, _FLAGS)
        except OSError:
            return False
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return False
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self._rest = descriptor, b""
        return True

    def _is_replaced(self) -> bool:
        """Return whether a resumed run has begun another file."""
        assert self._descriptor is not None
        try:
            there = (self._folder / LIVE).stat(follow_symlinks=False)
        except OSError:
            return False
        return not os.path.samestat(there, os.fstat(self._descriptor))

    def _lines(self, data: bytes) -> list[bytes]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE:
            self._rest = self._rest[: MAX_LINE + 1]  # it is no record, however it goes on
        return lines

    def _take(self, lines: list[bytes]) -> None:
        records: list[LiveRecord] = []
        for line in lines:
            try:
                records.append(decode_live(line))
            except ValueError:
                continue  # damaged, or of another version; the others still tell most of it
            self._history.add(records[-1])
        for at in range(0, len(records), _RECORDS_A_BATCH):
            self.number += 1
            batch = records[at : at + _RECORDS_A_BATCH]
            self._batches.append((self.number, _event(batch, f"{self._token}-{self.number}")))

    async def _judge(self) -> None:
        begins, ends = self._history.begins, self._history.ends
        if ends is not None:
            self.state = LiveState.FAILED if ends.status == "failed" else LiveState.ENDED
        elif begins is None:
            self.state = LiveState.ENDED if has_results(self._folder) else LiveState.WAITING
        else:
            self.state = LiveState.RUNNING if is_in_progress(begins, self._folder) else LiveState.DIED
        if self.state is LiveState.ENDED:
            await self._on_end()


def _event(records: Iterable[LiveRecord], identifier: str) -> bytes:
    """Return an event with records, which are encoded anew: only what a record may have gets to a page."""
    content = visible_json(b",".join(encode_live(record).rstrip(b"\n") for record in records))
    last = f"id: {identifier}\n".encode() if identifier else b""
    return last + b"event: records\ndata: [" + content + b"]\n\n"


def state_event(state: LiveState, report: str) -> bytes:
    """Return the event that tells the state of a run, and the address of its report once it has one."""
    return b"event: state\ndata: " + msgspec.json.encode({"state": state, "report": report}) + b"\n\n"
