"""From a target to the provider that serves it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

from runner.core.errors import PublishFailed
from runner.publish.api_client import Wire
from runner.publish.ci_context import Target
from runner.publish.github import IssueComments
from runner.publish.gitlab import Notes
from runner.publish.provider import Forge

MOST: Final = {"github": 65_536, "gitea": 65_536, "gitlab": 1_000_000}
"""How long a comment may be; Gitea and Forgejo name no limit and get GitHub's."""


def open_wire(target: Target) -> Wire:
    """A connection with the provider's own headers."""
    return Wire(base=target.api, token=target.token, headers=_headers(target))


def open_forge(target: Target, wire: Wire) -> Forge:
    """The target's pull request; its number is looked up when only the fork is known.

    Raises:
        PublishFailed: The fork's branch has no open pull request at that commit.
    """
    if target.provider == "gitlab":
        assert target.number is not None
        return Notes(wire, target.repository, target.number, MOST["gitlab"])
    number = target.number
    if number is None:
        number = _looked_up(target, wire)
    return IssueComments(wire, target.repository, number, target.robot, MOST[target.provider])


def _looked_up(target: Target, wire: Wire) -> int:
    fork = target.fork
    assert fork is not None
    number = IssueComments(wire, target.repository, 0).pull_request_of(fork.owner, fork.branch, fork.sha)
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
