"""GitLab: comments on a merge request are its notes.

https://docs.gitlab.com/api/notes/ (merge requests) and https://docs.gitlab.com/api/rest/ (pages, errors).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from runner.core.errors import PublishFailed
from runner.publish.api_client import Answer, Wire
from runner.publish.provider import Comment, TooLong

MOST: Final = 1_000_000
_PAGES: Final = 100


@dataclass(frozen=True, slots=True)
class Notes:
    """The notes of one merge request.

    Attributes:
        wire: To the API, such as ``https://gitlab.com/api/v4``.
        repository: The project's path or its number.
        number: The merge request's `iid`.
        most: Longest text, in UTF-16 units.
    """

    wire: Wire
    repository: str
    number: int
    most: int = MOST

    def author(self) -> str:
        """Ask who we are; the token of a CI job has nobody behind it."""
        answer = self.wire.call("GET", "/user")
        if answer.status != 200 or not isinstance(answer.data, dict):
            raise self._refused(answer)
        return str(answer.data["username"])

    def comments(self) -> Iterator[Comment]:
        """All notes that people or tokens wrote, page by page."""
        page = "1"
        for _ in range(_PAGES):
            answer = self.wire.call(
                "GET", f"{self._notes}?sort=asc&order_by=created_at&per_page=100&page={page}"
            )
            if answer.status != 200 or not isinstance(answer.data, list):
                raise self._refused(answer)
            yield from (_comment(each) for each in answer.data if not each.get("system"))
            page = answer.headers.get("x-next-page", "")
            if not page.isdecimal():
                return

    def create(self, body: str) -> Comment:
        """POST a note."""
        answer = self.wire.call("POST", self._notes, {"body": body})
        self._check_length(answer)
        if answer.status != 201:
            raise self._refused(answer)
        return _comment(answer.data)

    def update(self, comment: Comment, body: str) -> bool:
        """PUT a note's text."""
        answer = self.wire.call("PUT", f"{self._notes}/{comment.number}", {"body": body})
        self._check_length(answer)
        if answer.status == 404:
            return False
        if answer.status != 200:
            raise self._refused(answer)
        return True

    def delete(self, comment: Comment) -> None:
        """DELETE a note; that it is gone is as good."""
        answer = self.wire.call("DELETE", f"{self._notes}/{comment.number}")
        if answer.status not in {204, 404}:
            raise self._refused(answer)

    @property
    def _notes(self) -> str:
        return f"/projects/{quote(self.repository, safe='')}/merge_requests/{self.number}/notes"

    def _check_length(self, answer: Answer) -> None:
        """A 400 such as ``{"message": {"note": ["is too long (maximum is 1000000 characters)"]}}``."""
        if answer.status not in {400, 413, 422} or "too long" not in str(answer.data).lower():
            return
        said = re.search(r"maximum is ([\d,]+)", str(answer.data))
        raise TooLong(int(said[1].replace(",", "")) if said else None)

    def _refused(self, answer: Answer) -> PublishFailed:
        place = f"{self.repository}!{self.number}"
        said = f" ({answer.message})" if answer.message else ""
        failure = self.wire.failure
        match answer.status:
            case 401:
                return failure(
                    f"does not accept the token{said}",
                    hint="GITLAB_TOKEN must hold a project access token with the scope api; "
                    "CI_JOB_TOKEN may not write notes",
                )
            case 403:
                return failure(
                    f"does not let this token comment on {place}{said}",
                    hint="the token needs the scope api and the role Reporter or higher in the project",
                )
            case 404:
                return failure(
                    f"knows no merge request {place}, or hides it from this token{said}",
                    hint="check --repository and --pr; protected variables reach protected branches only",
                )
            case _:
                return failure(f"answered {answer.status}{said}", hint="see the provider's status page")


def _comment(data: Mapping[str, Any]) -> Comment:
    author = (data.get("author") or {}).get("username", "")
    return Comment(int(data["id"]), str(author), str(data.get("body") or ""))
