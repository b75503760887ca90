"""Finds the pull request, its provider and the token in the options, or in the environment of the CI job."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from runner.core.errors import PublishFailed, UsageError
from runner.publish.ci_event import read_event, value_at

Environ = Mapping[str, str]

PROVIDERS: Final = ("github", "gitea", "gitlab")
_TOKENS: Final = {
    "github": ("GITHUB_TOKEN", "GH_TOKEN"),
    "gitea": ("GITEA_TOKEN", "FORGEJO_TOKEN", "GITHUB_TOKEN"),
    "gitlab": ("GITLAB_TOKEN",),
}
_DEFAULT_API: Final = {"github": "https://api.github.com", "gitlab": "https://gitlab.com/api/v4"}
_API_PATH: Final = {"github": "", "gitea": "/api/v1", "gitlab": "/api/v4"}
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_REPOSITORY: Final = re.compile(r"[\w.-]+(/[\w.-]+)+|\d+")
_LINK: Final = re.compile(r"https?://[^\s()<>\[\]\"'`]{1,1000}")
_SHA: Final = re.compile(r"[0-9a-fA-F]{7,64}")


@dataclass(frozen=True, slots=True)
class Fork:
    """The origin of a pull request whose number is not known.

    Attributes:
        owner: Of the fork.
        branch: In the fork.
        sha: The commit that was tested.
    """

    owner: str
    branch: str
    sha: str


@dataclass(frozen=True, slots=True)
class Target:
    """The pull request to comment on.

    Attributes:
        provider: One of `PROVIDERS`.
        api: Address of the API without a trailing slash.
        repository: ``owner/name``, or GitLab's path or number of the project.
        number: Of the pull or merge request; None if it has to be looked up by `fork`.
        fork: Origin of the pull request, for a workflow_run.
        token: The secret.
        bot: Login of the CI job's own token, where the API may not tell.
        commit: The commit that was tested; empty if unknown.
        link: Address of the CI run; empty if unknown.
    """

    provider: str
    api: str
    repository: str
    number: int | None
    fork: Fork | None
    token: str = field(repr=False)
    bot: str
    commit: str
    link: str


@dataclass(frozen=True, slots=True)
class CommentOptions:
    """The options of the command line; None for what the environment provides."""

    provider: str | None = None
    api: str | None = None
    repository: str | None = None
    number: int | None = None
    commit: str | None = None
    link: str | None = None


def find_target(options: CommentOptions, environ: Environ) -> Target:
    """Return the target that the options and the environment describe.

    Raises:
        UsageError: Something is missing in both, or invalid.
        PublishFailed: There is no token.
    """
    provider = options.provider or _provider(environ)
    event = read_event(environ.get("GITHUB_EVENT_PATH", ""))
    number, fork = options.number, None
    if number is None:
        number, fork = _number(provider, environ, event)
    repository = options.repository or _repository(provider, environ)
    if not _REPOSITORY.fullmatch(repository):
        raise UsageError(f"{repository!r} is no repository", hint="give --repository OWNER/NAME")
    return Target(
        provider=provider,
        api=_api(provider, options.api, environ),
        repository=repository,
        number=number,
        fork=fork,
        token=_token(provider, environ),
        bot=_bot(provider, environ),
        commit=find_commit(options, environ),
        link=find_link(options, environ),
    )


def find_commit(options: CommentOptions, environ: Environ) -> str:
    """Return the commit that was tested; of a pull request its newest one, not the merge that CI makes."""
    event = read_event(environ.get("GITHUB_EVENT_PATH", ""))
    candidates = (
        options.commit,
        value_at(event, "pull_request", "head", "sha"),
        value_at(event, "workflow_run", "head_sha"),
        environ.get("CI_COMMIT_SHA"),
        environ.get("GITHUB_SHA"),
    )
    commit = next((candidate for candidate in candidates if candidate), "")
    return commit if isinstance(commit, str) and _SHA.fullmatch(commit) else ""


def find_link(options: CommentOptions, environ: Environ) -> str:
    """Return the address of the complete report: as given, else the CI run with its artifacts."""
    link = options.link or environ.get("CI_JOB_URL", "")
    server, repository, run = (
        environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID")
    )
    if not link and server and repository and run:
        run = str(value_at(read_event(environ.get("GITHUB_EVENT_PATH", "")), "workflow_run", "id") or run)
        link = f"{server}/{repository}/actions/runs/{run}"
    if link and not _LINK.fullmatch(link):
        raise UsageError(f"{link!r} is no valid link", hint="give one that begins with https://")
    return link


def _provider(environ: Environ) -> str:
    if environ.get("GITLAB_CI") == "true":
        return "gitlab"
    if environ.get("GITHUB_ACTIONS") == "true":
        marked = environ.get("GITEA_ACTIONS") == "true" or environ.get("FORGEJO_ACTIONS") == "true"
        api_path = urlsplit(environ.get("GITHUB_API_URL", "")).path
        return "gitea" if marked or api_path.startswith("/api/v1") else "github"
    raise UsageError(
        "the pull request is not known", hint="outside of CI give --provider, --repository and --pr"
    )


def _api(provider: str, given: str | None, environ: Environ) -> str:
    name = "CI_API_V4_URL" if provider == "gitlab" else "GITHUB_API_URL"
    api = (given or environ.get(name) or _DEFAULT_API.get(provider, "")).rstrip("/")
    if not api:
        raise UsageError("the address of the API is not known", hint="give --api-url https://HOST/api/v1")
    parts = urlsplit(api)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
        raise UsageError(
            f"{_shown(api)} is no address of an API", hint="give one such as https://git.example.org/api/v1"
        )
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise UsageError(
            f"{_shown(api)} would send the token over the network unencrypted", hint="give an https address"
        )
    if not parts.path:
        api += _API_PATH[provider]
    return api


def _shown(api: str) -> str:
    """Return an address without the parts that may contain a secret."""
    parts = urlsplit(api)
    return f"{parts.scheme}://{parts.hostname}{parts.path}"


def _repository(provider: str, environ: Environ) -> str:
    if provider == "gitlab":
        found = environ.get("CI_MERGE_REQUEST_PROJECT_ID") or environ.get("CI_PROJECT_ID")
    else:
        found = environ.get("GITHUB_REPOSITORY")
    if not found:
        raise UsageError("the repository is not known", hint="give --repository OWNER/NAME")
    return found


def _number(provider: str, environ: Environ, event: Mapping[str, object]) -> tuple[int | None, Fork | None]:
    if provider == "gitlab":
        iid = environ.get("CI_MERGE_REQUEST_IID", "")
        found: object = int(iid) if iid.isdecimal() else None
    else:
        found = value_at(event, "pull_request", "number")
        if found is None and value_at(event, "issue", "pull_request") is not None:
            found = value_at(event, "issue", "number")
    if isinstance(found, int) and found > 0:
        return found, None
    if fork := _fork(event):
        return None, fork
    raise UsageError(
        "there is no pull request to comment on",
        hint="give --pr N, or run this for pull requests only (on: pull_request, rules: merge_request_event)",
    )


def _fork(event: Mapping[str, object]) -> Fork | None:
    """Return the origin of the run that triggered this one, from GitHub's event and not from its artifact."""
    if value_at(event, "workflow_run", "event") != "pull_request":
        return None
    owner = value_at(event, "workflow_run", "head_repository", "owner", "login")
    branch, sha = value_at(event, "workflow_run", "head_branch"), value_at(event, "workflow_run", "head_sha")
    if not (isinstance(owner, str) and isinstance(branch, str) and isinstance(sha, str)):
        return None
    return Fork(owner, branch, sha)


def _token(provider: str, environ: Environ) -> str:
    names = _TOKENS[provider]
    found = next((environ[name].strip() for name in names if environ.get(name, "").strip()), "")
    if not found:
        raise PublishFailed(
            f"there is no token for {provider}", hint=f"put one into the environment as {' or '.join(names)}"
        )
    if not found.isascii() or not found.isprintable() or " " in found:
        raise PublishFailed(
            f"the token for {provider} contains characters that no token has",
            hint=f"check {' and '.join(names)} for quotes or line breaks",
        )
    return found


def _bot(provider: str, environ: Environ) -> str:
    """Return the login of a workflow's own token."""
    if environ.get("GITHUB_ACTIONS") != "true" or provider == "gitlab":
        return ""
    if provider == "github":
        return "github-actions[bot]"
    return "forgejo-actions" if environ.get("FORGEJO_ACTIONS") == "true" else "gitea-actions"
