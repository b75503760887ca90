"""What an engine reports while it pushes an image: whether it gets on, and what the image is called then."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec import Struct

from runner.stack.docker.responses import Progress

_MOST_STATES: Final = 5
"""A layer is prepared, waits, is pushed, and has been pushed. One with more states is being tried again."""


class _Pushed(Struct, frozen=True, rename="pascal"):
    """The last line of a push."""

    digest: str = ""


@dataclass(slots=True)
class PushProgress:
    """A push under way.

    Attributes:
        error: Why it failed; empty if it has not.
        digest: Of the manifest that was pushed, as the engine computed it; empty if it does not say.
    """

    error: str = ""
    digest: str = ""
    _bytes: dict[str, float] = field(default_factory=dict)
    _states: set[tuple[str, str]] = field(default_factory=set)
    _counts: Counter[str] = field(default_factory=Counter)

    def take(self, item: Progress) -> bool:
        """Take one line; returns whether the push has got on."""
        if item.error:
            self.error = item.error
        if bytes(item.aux):
            self._take_digest(bytes(item.aux))
        return self._sends_more(item) or self._is_new(item)

    def _take_digest(self, aux: bytes) -> None:
        try:
            self.digest = msgspec.json.decode(aux, type=_Pushed).digest or self.digest
        except msgspec.DecodeError:
            return  # something else that an engine may add

    def _sends_more(self, item: Progress) -> bool:
        sent = item.progress_detail.current if item.progress_detail else 0
        more = sent > self._bytes.get(item.id, 0)
        if more:
            self._bytes[item.id] = sent
        return more

    def _is_new(self, item: Progress) -> bool:
        state = (item.id, item.status)
        if state in self._states or self._counts[item.id] >= _MOST_STATES:
            return False
        self._states.add(state)
        self._counts[item.id] += 1
        return True
