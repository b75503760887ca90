"""GitLab: comments on a merge request are its notes.

https://docs.gitlab.com/api/notes/ (merge requests) and https://docs.gitlab.com/api/rest/ (pages, errors).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import quote

from runner.core.errors import PublishFailed
from runner.publish.api_client import ApiClient, ApiResponse
from runner.publish.provider import MAX_PAGES, Comment, check_length, comment_of, refusal

MAX_LENGTH: Final = 1_000_000
_comment: Final = partial(comment_of, author="author", login="username")
_HINTS: Final = {
    401: "GITLAB_TOKEN must contain a project access token with the scope api; "
    "CI_JOB_TOKEN may not write notes",
    403: "the token needs the scope api and the role Reporter or higher in the project",
    404: "check --repository and --pr; protected variables are available on protected branches only",
}


@dataclass(frozen=True, slots=True)
class Notes:
    """The notes of one merge request.

    Attributes:
        client: Of the API, such as ``https://gitlab.com/api/v4``.
        repository: The project's path or its number.
        number: The merge request's `iid`.
        max_length: Longest text, in UTF-16 units.
    """

    client: ApiClient
    repository: str
    number: int
    max_length: int = MAX_LENGTH

    def author(self) -> str:
        """Return our login; the token of a CI job has none."""
        response = self.client.call("GET", "/user")
        if response.status != 200 or not isinstance(response.data, dict):
            raise self._refused(response)
        return str(response.data["username"])

    def comments(self) -> Iterator[Comment]:
        """Yield all notes that people or tokens wrote, page by page."""
        page = "1"
        for _ in range(MAX_PAGES):
            path = f"{self._notes}?sort=asc&order_by=created_at&per_page=100&page={page}"
            response = self.client.call("GET", path)
            if response.status != 200 or not isinstance(response.data, list):
                raise self._refused(response)
            yield from (
                _comment(note) for note in response.data if isinstance(note, dict) and not note.get("system")
            )
            page = response.headers.get("x-next-page", "")
            if not page.isdecimal():
                return

    def create(self, body: str) -> Comment:
        """POST a note."""
        response = self.client.call("POST", self._notes, {"body": body})
        check_length(response)
        if response.status != 201:
            raise self._refused(response)
        return _comment(response.data)

    def update(self, comment: Comment, body: str) -> bool:
        """PUT a note's text."""
        response = self.client.call("PUT", f"{self._notes}/{comment.number}", {"body": body})
        check_length(response)
        if response.status == 404:
            return False
        if response.status != 200:
            raise self._refused(response)
        return True

    def delete(self, comment: Comment) -> None:
        """DELETE a note; one that is gone already is no error."""
        response = self.client.call("DELETE", f"{self._notes}/{comment.number}")
        if response.status not in {204, 404}:
            raise self._refused(response)

    @property
    def _notes(self) -> str:
        return f"/projects/{quote(self.repository, safe='')}/merge_requests/{self.number}/notes"

    def _refused(self, response: ApiResponse) -> PublishFailed:
        place = f"{self.repository}!{self.number}"
        return refusal(self.client, response, kind="merge request", place=place, hints=_HINTS)
