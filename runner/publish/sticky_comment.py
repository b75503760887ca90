"""One comment a run of CI: found by its marker and its author, updated, made again, its doubles removed.

Two jobs may do this at once. Both write and look again; both keep the oldest comment, so one remains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal, TypeAlias

from runner.core.errors import PublishFailed
from runner.publish.api_client import Uncertain
from runner.publish.provider import Comment, Forge, TooLong

Render: TypeAlias = Callable[[int], str]
"""The comment's text, at most so many UTF-16 units long."""

Done: TypeAlias = Literal["created", "updated", "unchanged"]

_ROUNDS: Final = 5
_LEAST: Final = 8_000


def publish(forge: Forge, render: Render, marker: str) -> Done:
    """Make the pull request have exactly one comment with this marker and text.

    Args:
        forge: The pull request.
        render: Writes the text; asked again for less when the provider finds it too long.
        marker: The text's first line.

    Raises:
        PublishFailed: The provider refuses, or does not settle.
    """
    author = forge.author()
    most = forge.most
    text = render(most)
    for _ in range(_ROUNDS):
        ours = sorted(_ours(forge, author, marker), key=lambda each: each.number)
        try:
            if not ours:
                forge.create(text)
                return _settled(forge, author, marker, text)
            if (done := _kept(forge, ours, text)) is not None:
                return done
        except TooLong as refusal:
            most = _less(most, refusal.most)
            text = render(most)
        except Uncertain:  # whether it took effect shows in the next look
            continue
    raise PublishFailed(
        f"the comment could not be settled in {_ROUNDS} rounds", hint="another job may be at the same comment"
    )


def _ours(forge: Forge, author: str, marker: str) -> Iterator[Comment]:
    for comment in forge.comments():
        first, _, _ = comment.body.partition("\n")
        if first.rstrip() == marker and _same(comment.author, author):
            yield comment


def _same(one: str, other: str) -> bool:
    """Logins have no case."""
    return one.lower() == other.lower()


def _kept(forge: Forge, ours: list[Comment], text: str) -> Done | None:
    """Update the oldest and remove the others; None when it was gone before we came."""
    oldest, *doubles = ours
    done: Done = "unchanged"
    if oldest.body.replace("\r\n", "\n").rstrip() != text.rstrip():
        if not forge.update(oldest, text):
            return None
        done = "updated"
    for double in doubles:
        forge.delete(double)
    return done


def _settled(forge: Forge, author: str, marker: str, text: str) -> Done:
    """After a POST: whoever else posted meanwhile sees the same comments and keeps the same one."""
    ours = sorted(_ours(forge, author, marker), key=lambda each: each.number)
    if len(ours) > 1:
        _kept(forge, ours, text)
    return "created"


def _less(most: int, told: int | None) -> int:
    """The provider's own limit if it is news, else half."""
    less = told if told is not None and told < most else most // 2
    if less < _LEAST:
        raise PublishFailed("the provider takes no comment of a useful length", hint="see the report itself")
    return less
