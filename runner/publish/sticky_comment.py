"""Keeps exactly one comment per experiment: found by its marker and author, updated, its duplicates deleted.

Two jobs may do this at once. Both write and read again; both keep the oldest comment, so one remains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Final, Literal, TypeAlias

from runner.core.errors import PublishFailed
from runner.publish.api_client import Uncertain
from runner.publish.provider import Comment, CommentThread, TooLong

Render: TypeAlias = Callable[[int], str]
"""Returns the comment's text, which must not exceed a number of UTF-16 units."""

Done: TypeAlias = Literal["created", "updated", "unchanged"]

_ROUNDS: Final = 5
_MIN_LENGTH: Final = 8_000


def publish(thread: CommentThread, render: Render, marker: str) -> Done:
    """Make sure that the pull request has exactly one comment with this marker and text.

    Args:
        thread: The comments of the pull request.
        render: Called again for a shorter text if the provider refuses the length.
        marker: The first line of the text.

    Raises:
        PublishFailed: The provider refuses, or other jobs keep changing the comment.
    """
    author = thread.author()
    max_length = thread.max_length
    text = render(max_length)
    for _ in range(_ROUNDS):
        ours = _ours(thread, author, marker)
        try:
            if not ours:
                thread.create(text)
                return _settle(thread, author, marker, text)
            if (done := _keep_oldest(thread, ours, text)) is not None:
                return done
        except TooLong as refusal:
            max_length = _shorter(max_length, refusal.max_length)
            text = render(max_length)
        except Uncertain:  # the next round shows whether it took effect
            continue
    raise PublishFailed(
        f"the comment was still changing after {_ROUNDS} rounds",
        hint="another job may be writing the same comment",
    )


def _ours(thread: CommentThread, author: str, marker: str) -> list[Comment]:
    """Return our comments with this marker, oldest first."""
    return sorted(_marked(thread, author, marker), key=attrgetter("number"))


def _marked(thread: CommentThread, author: str, marker: str) -> Iterator[Comment]:
    for comment in thread.comments():
        first, _, _ = comment.body.partition("\n")
        if first.rstrip() == marker and comment.author.lower() == author.lower():  # logins ignore case
            yield comment


def _keep_oldest(thread: CommentThread, ours: list[Comment], text: str) -> Done | None:
    """Update the oldest comment and delete the others; None if it no longer exists."""
    oldest, *duplicates = ours
    done: Done = "unchanged"
    if oldest.body.replace("\r\n", "\n").rstrip() != text.rstrip():
        if not thread.update(oldest, text):
            return None
        done = "updated"
    for duplicate in duplicates:
        thread.delete(duplicate)
    return done


def _settle(thread: CommentThread, author: str, marker: str, text: str) -> Done:
    """Read again after a POST: another job that posted meanwhile reads the same, and keeps the same one."""
    ours = _ours(thread, author, marker)
    if len(ours) > 1:
        _keep_oldest(thread, ours, text)
    return "created"


def _shorter(max_length: int, limit: int | None) -> int:
    """Return the provider's own limit if it is lower, else half."""
    shorter = limit if limit is not None and limit < max_length else max_length // 2
    if shorter < _MIN_LENGTH:
        raise PublishFailed(
            "the provider accepts no comment of a useful length", hint="read the report instead"
        )
    return shorter
