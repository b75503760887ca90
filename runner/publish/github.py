"""GitHub, GitHub Enterprise Server, Gitea and Forgejo: comments on a pull request are issue comments.

https://docs.github.com/rest/issues/comments; Gitea and Forgejo serve the same paths below /api/v1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import quote, urlsplit

from runner.core.errors import PublishFailed
from runner.publish.api_client import ApiClient, ApiResponse
from runner.publish.provider import MAX_PAGES, Comment, check_length, comment_of, refusal

MAX_LENGTH: Final = 65_536
_NEXT: Final = re.compile(r'<([^>]+)>\s*;[^,]*\brel="?next"?')
_APP: Final = "[bot]"
_comment: Final = partial(comment_of, author="user", login="login")
_HINTS: Final = {
    401: "it is wrong or has expired; create a new one",
    403: "in a workflow, add `permissions: pull-requests: write`; a pull request from a fork gets a "
    "read-only token, for which infra/github/README.md has two workflows",
    404: "check --repository and --pr, and that the token may read the repository",
}


@dataclass(frozen=True, slots=True)
class IssueComments:
    """The comments of one pull request.

    Attributes:
        client: Of the API, such as ``https://api.github.com`` or ``https://host/api/v1``.
        repository: ``owner/name``.
        number: Of the pull request.
        bot: Login of the CI job's own token if the API does not tell; empty outside of CI.
        max_length: Longest text, in UTF-16 units.
    """

    client: ApiClient
    repository: str
    number: int
    bot: str = ""
    max_length: int = MAX_LENGTH

    def author(self) -> str:
        """Return our login; tokens of apps may not read it, so GraphQL is next, then the CI job's bot."""
        response = self.client.call("GET", "/user")
        if response.status == 200 and isinstance(response.data, dict):
            return str(response.data["login"])
        if response.status == 401:
            raise self._refused(response)
        if login := self._viewer() or self.bot:
            return login
        raise self._refused(response)

    def _viewer(self) -> str:
        if urlsplit(self.client.base).path.startswith("/api/v1"):
            return ""
        query = {"query": "query { viewer { login } }"}
        response = self.client.call("POST", _graphql(self.client.base), query, reads=True)
        try:
            login = str(response.data["data"]["viewer"]["login"])
        except (KeyError, TypeError):
            return ""
        return login if login.endswith(_APP) else f"{login}{_APP}"

    def comments(self) -> Iterator[Comment]:
        """Yield all comments of the pull request, page by page."""
        path = f"{self._issue}/comments?per_page=100"
        for _ in range(MAX_PAGES):
            response = self.client.call("GET", path)
            if response.status != 200 or not isinstance(response.data, list):
                raise self._refused(response)
            yield from map(_comment, response.data)
            following = _NEXT.search(response.headers.get("link", ""))
            if not following:
                return
            path = following[1]

    def create(self, body: str) -> Comment:
        """POST a comment."""
        response = self.client.call("POST", f"{self._issue}/comments", {"body": body})
        check_length(response)
        if response.status != 201:
            raise self._refused(response)
        return _comment(response.data)

    def update(self, comment: Comment, body: str) -> bool:
        """PATCH a comment."""
        response = self.client.call("PATCH", self._path(comment), {"body": body})
        check_length(response)
        if response.status in {404, 410}:
            return False
        if response.status != 200:
            raise self._refused(response)
        return True

    def delete(self, comment: Comment) -> None:
        """DELETE a comment; one that is gone already is no error."""
        response = self.client.call("DELETE", self._path(comment))
        if response.status not in {204, 404, 410}:
            raise self._refused(response)

    def pull_request_of(self, owner: str, branch: str, sha: str) -> int | None:
        """Return the number of the open pull request of a fork's branch whose newest commit is `sha`."""
        head = quote(f"{owner}:{branch}", safe="")
        path = f"/repos/{self.repository}/pulls?state=open&per_page=100&head={head}"
        response = self.client.call("GET", path)
        if response.status != 200 or not isinstance(response.data, list):
            raise self._refused(response)
        numbers = [pull["number"] for pull in response.data if pull["head"]["sha"] == sha]
        return int(numbers[0]) if numbers else None

    @property
    def _issue(self) -> str:
        return f"/repos/{self.repository}/issues/{self.number}"

    def _path(self, comment: Comment) -> str:
        return f"/repos/{self.repository}/issues/comments/{comment.number}"

    def _refused(self, response: ApiResponse) -> PublishFailed:
        place = f"{self.repository}#{self.number}"
        return refusal(self.client, response, kind="pull request", place=place, hints=_HINTS)


def _graphql(base: str) -> str:
    """GitHub serves GraphQL beside its REST API, Enterprise Server at another path of the same host."""
    return f"{base.removesuffix('/v3')}/graphql"
