"""What every provider has to support, so that the sticky comment is implemented once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from runner.core.errors import PublishFailed
from runner.publish.api_client import ApiClient, ApiResponse

MAX_PAGES: Final = 100
_TOO_LONG: Final = frozenset({400, 413, 422})


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment as it is stored.

    Attributes:
        number: The provider's id; older comments have lower ones.
        author: Login of its author.
        body: Its Markdown.
    """

    number: int
    author: str
    body: str


def comment_of(data: Any, *, author: str, login: str) -> Comment:
    """Return a comment of an API; one without a number, which no API sends, has number 0 and no text.

    Args:
        data: What the API sent.
        author: Key of its author.
        login: Key of the author's login.
    """
    known = data if isinstance(data, dict) else {}
    person = known.get(author)
    name = person.get(login, "") if isinstance(person, dict) else ""
    number = known.get("id")
    return Comment(number if isinstance(number, int) else 0, str(name), str(known.get("body") or ""))


class TooLong(Exception):  # noqa: N818  (a state: the text is made shorter and sent again)
    """The provider accepts no text of this length.

    Args:
        max_length: The longest text that it accepts; None if it does not tell.
    """

    def __init__(self, max_length: int | None) -> None:
        super().__init__("the comment is too long")
        self.max_length = max_length


class CommentThread(Protocol):
    """The comments of one pull request at one provider. All methods raise `PublishFailed`."""

    @property
    def max_length(self) -> int:
        """The longest comment that the provider accepts, in UTF-16 units."""

    @property
    def number(self) -> int:
        """Of the pull request."""

    def author(self) -> str:
        """Return the login under which the token writes."""

    def comments(self) -> Iterator[Comment]:
        """Yield all comments, oldest first."""

    def create(self, body: str) -> Comment:
        """Write a new comment; raises `Uncertain` or `TooLong`."""

    def update(self, comment: Comment, body: str) -> bool:
        """Replace a comment's text; False if it no longer exists. Raises `TooLong`."""

    def delete(self, comment: Comment) -> None:
        """Delete a comment, which may be gone already."""


def check_length(response: ApiResponse) -> None:
    """Raise TooLong for a refusal such as ``{"message": {"note": ["is too long (maximum is 1000 …)"]}}``."""
    text = str(response.data)
    if response.status in _TOO_LONG and "too long" in text.lower():
        maximum = re.search(r"maximum is ([\d,]+)", text)
        raise TooLong(int(maximum[1].replace(",", "")) if maximum else None)


def refusal(
    client: ApiClient, response: ApiResponse, *, kind: str, place: str, hints: Mapping[int, str]
) -> PublishFailed:
    """Return the error for a response that refuses a request.

    Args:
        client: Its host is named in the error.
        response: The refusal.
        kind: ``pull request`` or ``merge request``.
        place: Which one.
        hints: HTTP status to what to do.
    """
    status = 404 if response.status == 410 else response.status
    hint = hints.get(status, "see the provider's status page")
    match status:
        case 401:
            message = "does not accept the token"
        case 403 if "locked" in response.message.lower():
            message, hint = f"has locked {place}", "unlock the conversation"
        case 403:
            message = f"does not let this token comment on {place}"
        case 404:
            message = f"has no {kind} {place}, or hides it from this token"
        case _:
            message = f"responded with {status}"
    reason = f" ({response.message})" if response.message else ""
    return client.failure(message + reason, hint=hint)
