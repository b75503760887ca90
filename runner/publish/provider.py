"""What every provider must be able to do, so that the sticky comment is written once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment as it stands.

    Attributes:
        number: The provider's id; older comments have lower ones.
        author: Login of whoever wrote it.
        body: Its Markdown.
    """

    number: int
    author: str
    body: str


class TooLong(Exception):  # noqa: N818  (a state: the text is made shorter and sent again)
    """The provider takes no text of this length.

    Args:
        most: The length it would take; None when it did not say.
    """

    def __init__(self, most: int | None) -> None:
        super().__init__("the comment is too long")
        self.most = most


class Forge(Protocol):
    """One pull request at one provider. All methods raise `PublishFailed` in words for people."""

    @property
    def most(self) -> int:
        """How long a comment may be, in UTF-16 units."""

    @property
    def number(self) -> int:
        """The pull request's."""

    def author(self) -> str:
        """Login under which the token writes."""

    def comments(self) -> Iterator[Comment]:
        """All comments, oldest first."""

    def create(self, body: str) -> Comment:
        """Write a new comment; raises `Uncertain` or `TooLong`."""

    def update(self, comment: Comment, body: str) -> bool:
        """Replace a comment's text; False when it is gone. Raises `TooLong`."""

    def delete(self, comment: Comment) -> None:
        """Remove a comment; it may be gone already."""
