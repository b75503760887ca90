"""Opens the pull request of a target at its provider."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

from runner.core.errors import PublishFailed
from runner.publish import github, gitlab
from runner.publish.api_client import ApiClient
from runner.publish.ci_context import Target
from runner.publish.github import IssueComments
from runner.publish.gitlab import Notes
from runner.publish.provider import CommentThread

MAX_LENGTH: Final = {
    "github": github.MAX_LENGTH,
    "gitea": github.MAX_LENGTH,
    "gitlab": gitlab.MAX_LENGTH,
}
"""The longest comment in UTF-16 units; Gitea and Forgejo document no limit and get GitHub's."""


def open_client(target: Target) -> ApiClient:
    """Return a client with the provider's own headers."""
    return ApiClient(base=target.api, token=target.token, headers=_headers(target))


def open_thread(target: Target, client: ApiClient) -> CommentThread:
    """Return the comments of the target's pull request, whose number is looked up if only the fork is known.

    Raises:
        PublishFailed: The fork's branch has no open pull request at that commit.
    """
    if target.provider == "gitlab":
        assert target.number is not None
        return Notes(client, target.repository, target.number, MAX_LENGTH["gitlab"])
    number = target.number
    if number is None:
        number = _number_of(target, client)
    return IssueComments(client, target.repository, number, target.bot, MAX_LENGTH[target.provider])


def _number_of(target: Target, client: ApiClient) -> int:
    fork = target.fork
    assert fork is not None
    number = IssueComments(client, target.repository, 0).pull_request_of(fork.owner, fork.branch, fork.sha)
    if number is None:
        raise PublishFailed(
            f"no open pull request of {fork.owner}:{fork.branch} is at the commit that was tested",
            hint="it was closed, or has newer commits, whose run will comment",
        )
    return number


def _headers(target: Target) -> Mapping[str, str]:
    agent = {"User-Agent": f"loadproof/{version('loadproof')}"}
    match target.provider:
        case "github":
            return agent | {
                "Accept": "application/vnd.github+json, application/json;q=0.9",
                "Authorization": f"Bearer {target.token}",
                "X-GitHub-Api-Version": "2022-11-28",
            }
        case "gitea":
            return agent | {"Accept": "application/json", "Authorization": f"token {target.token}"}
        case _:
            return agent | {"Accept": "application/json", "PRIVATE-TOKEN": target.token}
