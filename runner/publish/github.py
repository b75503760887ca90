"""GitHub, GitHub Enterprise Server, Gitea and Forgejo: comments on a pull request are issue comments.

https://docs.github.com/rest/issues/comments; Gitea and Forgejo serve the same paths below /api/v1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

from runner.core.errors import PublishFailed
from runner.publish.api_client import Answer, Wire
from runner.publish.provider import Comment, TooLong

MOST: Final = 65_536
_PAGES: Final = 100
_NEXT: Final = re.compile(r'<([^>]+)>\s*;[^,]*\brel="?next"?')
_APP: Final = "[bot]"


@dataclass(frozen=True, slots=True)
class IssueComments:
    """The comments of one pull request.

    Attributes:
        wire: To the API, such as ``https://api.github.com`` or ``https://host/api/v1``.
        repository: ``owner/name``.
        number: The pull request's.
        robot: Login of the CI's own token where the API does not tell; empty outside of CI.
        most: Longest text, in UTF-16 units.
    """

    wire: Wire
    repository: str
    number: int
    robot: str = ""
    most: int = MOST

    def author(self) -> str:
        """Ask who we are; tokens of apps may not, so ask GraphQL, and else trust the CI."""
        answer = self.wire.call("GET", "/user")
        if answer.status == 200 and isinstance(answer.data, dict):
            return str(answer.data["login"])
        if answer.status == 401:
            raise self._refused(answer)
        return self._viewer() or self._robot(answer)

    def _viewer(self) -> str:
        if urlsplit(self.wire.base).path.startswith("/api/v1"):
            return ""
        answer = self.wire.call(
            "POST", _graphql(self.wire.base), {"query": "query { viewer { login } }"}, reads=True
        )
        try:
            login = str(answer.data["data"]["viewer"]["login"])
        except (KeyError, TypeError):
            return ""
        return login if login.endswith(_APP) else f"{login}{_APP}"

    def _robot(self, answer: Answer) -> str:
        if self.robot:
            return self.robot
        raise self._refused(answer)

    def comments(self) -> Iterator[Comment]:
        """All comments of the pull request, page by page."""
        path = f"{self._issue}/comments?per_page=100"
        for _ in range(_PAGES):
            answer = self.wire.call("GET", path)
            if answer.status != 200 or not isinstance(answer.data, list):
                raise self._refused(answer)
            yield from (_comment(each) for each in answer.data)
            following = _NEXT.search(answer.headers.get("link", ""))
            if not following:
                return
            path = following[1]

    def create(self, body: str) -> Comment:
        """POST a comment."""
        answer = self.wire.call("POST", f"{self._issue}/comments", {"body": body})
        self._check_length(answer)
        if answer.status != 201:
            raise self._refused(answer)
        return _comment(answer.data)

    def update(self, comment: Comment, body: str) -> bool:
        """PATCH a comment."""
        answer = self.wire.call("PATCH", self._path(comment), {"body": body})
        self._check_length(answer)
        if answer.status in {404, 410}:
            return False
        if answer.status != 200:
            raise self._refused(answer)
        return True

    def delete(self, comment: Comment) -> None:
        """DELETE a comment; that it is gone is as good."""
        answer = self.wire.call("DELETE", self._path(comment))
        if answer.status not in {204, 404, 410}:
            raise self._refused(answer)

    def pull_request_of(self, owner: str, branch: str, sha: str) -> int | None:
        """The open pull request of a fork's branch whose newest commit is `sha`."""
        head = quote(f"{owner}:{branch}", safe="")
        answer = self.wire.call("GET", f"/repos/{self.repository}/pulls?state=open&per_page=100&head={head}")
        if answer.status != 200 or not isinstance(answer.data, list):
            raise self._refused(answer)
        found = [each["number"] for each in answer.data if each["head"]["sha"] == sha]
        return int(found[0]) if found else None

    @property
    def _issue(self) -> str:
        return f"/repos/{self.repository}/issues/{self.number}"

    def _path(self, comment: Comment) -> str:
        return f"/repos/{self.repository}/issues/comments/{comment.number}"

    def _check_length(self, answer: Answer) -> None:
        if answer.status not in {413, 422} or "too long" not in str(answer.data).lower():
            return
        said = re.search(r"maximum is ([\d,]+)", str(answer.data))
        raise TooLong(int(said[1].replace(",", "")) if said else None)

    def _refused(self, answer: Answer) -> PublishFailed:
        place = f"{self.repository}#{self.number}"
        said = f" ({answer.message})" if answer.message else ""
        failure = self.wire.failure
        match answer.status:
            case 401:
                return failure(
                    f"does not accept the token{said}", hint="it is wrong or has expired; make a new one"
                )
            case 403 if "locked" in answer.message.lower():
                return failure(f"has locked {place}{said}", hint="unlock the conversation")
            case 403:
                return failure(
                    f"does not let this token comment on {place}{said}",
                    hint="in a workflow, add `permissions: pull-requests: write`; a pull request from a fork "
                    "gets a read-only token, for which infra/github/README.md has two workflows",
                )
            case 404 | 410:
                return failure(
                    f"knows no pull request {place}, or hides it from this token{said}",
                    hint="check --repository and --pr, and that the token may read the repository",
                )
            case _:
                return failure(f"answered {answer.status}{said}", hint="see the provider's status page")


def _comment(data: Mapping[str, Any]) -> Comment:
    author = (data.get("user") or {}).get("login", "")
    return Comment(int(data["id"]), str(author), str(data.get("body") or ""))


def _graphql(base: str) -> str:
    """GitHub serves GraphQL beside its REST API, Enterprise Server at another path of the same host."""
    return f"{base.removesuffix('/v3')}/graphql"
