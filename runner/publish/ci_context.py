"""Which pull request, where, with whose token: from the options, and else from the CI's environment."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from runner.core.errors import PublishFailed, UsageError

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
    """Where a pull request comes from, when its number is not known.

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
    """Where a comment goes.

    Attributes:
        provider: One of `PROVIDERS`.
        api: Address of the API without a trailing slash.
        repository: ``owner/name``, or GitLab's path or number of the project.
        number: Of the pull or merge request; None when it must be looked up by `fork`.
        fork: Where the pull request comes from, for a workflow_run.
        token: The secret.
        robot: Login of the CI's own token, where the API may not tell.
        commit: What was tested; empty when unknown.
        link: Address of the CI's run; empty when unknown.
    """

    provider: str
    api: str
    repository: str
    number: int | None
    fork: Fork | None
    token: str = field(repr=False)
    robot: str
    commit: str
    link: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says; None is taken from the environment."""

    provider: str | None = None
    api: str | None = None
    repository: str | None = None
    number: int | None = None
    commit: str | None = None
    link: str | None = None


def find_target(asked: Asked, environ: Environ) -> Target:
    """Complete what was asked from the environment.

    Raises:
        UsageError: Something is neither asked nor in the environment, or makes no sense.
        PublishFailed: There is no token.
    """
    provider = asked.provider or _provider(environ)
    event = _event(environ)
    number, fork = asked.number, None
    if number is None:
        number, fork = _number(provider, environ, event)
    repository = asked.repository or _repository(provider, environ)
    if not _REPOSITORY.fullmatch(repository):
        raise UsageError(f"{repository!r} is no repository", hint="give --repository OWNER/NAME")
    return Target(
        provider=provider,
        api=_api(provider, asked.api, environ),
        repository=repository,
        number=number,
        fork=fork,
        token=_token(provider, environ),
        robot=_robot(provider, environ),
        commit=find_commit(asked, environ),
        link=find_link(asked, environ),
    )


def find_commit(asked: Asked, environ: Environ) -> str:
    """The commit that was tested; of a pull request its newest one, not the merge that CI makes."""
    event = _event(environ)
    seen = (
        asked.commit,
        _at(event, "pull_request", "head", "sha"),
        _at(event, "workflow_run", "head_sha"),
        environ.get("CI_COMMIT_SHA"),
        environ.get("GITHUB_SHA"),
    )
    found = next((each for each in seen if each), "")
    return found if isinstance(found, str) and _SHA.fullmatch(found) else ""


def find_link(asked: Asked, environ: Environ) -> str:
    """Where the whole report lies: as asked, else the CI's run with its artifacts."""
    link = asked.link or environ.get("CI_JOB_URL", "")
    server, repository, run = (
        environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID")
    )
    if not link and server and repository and run:
        run = str(_at(_event(environ), "workflow_run", "id") or run)
        link = f"{server}/{repository}/actions/runs/{run}"
    if link and not _LINK.fullmatch(link):
        raise UsageError(f"{link!r} is no address for a link", hint="give one that begins with https://")
    return link


def _provider(environ: Environ) -> str:
    if environ.get("GITLAB_CI") == "true":
        return "gitlab"
    if environ.get("GITHUB_ACTIONS") == "true":
        theirs = environ.get("GITEA_ACTIONS") == "true" or environ.get("FORGEJO_ACTIONS") == "true"
        api_path = urlsplit(environ.get("GITHUB_API_URL", "")).path
        return "gitea" if theirs or api_path.startswith("/api/v1") else "github"
    raise UsageError(
        "it is not known where to comment", hint="outside of CI give --provider, --repository and --pr"
    )


def _api(provider: str, asked: str | None, environ: Environ) -> str:
    name = "CI_API_V4_URL" if provider == "gitlab" else "GITHUB_API_URL"
    api = (asked or environ.get(name) or _DEFAULT_API.get(provider, "")).rstrip("/")
    if not api:
        raise UsageError("the address of the API is not known", hint="give --api-url https://HOST/api/v1")
    parts = urlsplit(api)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
        raise UsageError(
            f"{_shown(api)} is no address of an API", hint="such as https://git.example.org/api/v1"
        )
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise UsageError(
            f"{_shown(api)} would carry the token over the network unencrypted", hint="give an https address"
        )
    if not parts.path:
        api += _API_PATH[provider]
    return api


def _shown(api: str) -> str:
    """An address without what may be a secret in it."""
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


def _number(provider: str, environ: Environ, event: Mapping[str, Any]) -> tuple[int | None, Fork | None]:
    if provider == "gitlab":
        iid = environ.get("CI_MERGE_REQUEST_IID", "")
        found: Any = int(iid) if iid.isdecimal() else None
    else:
        found = _at(event, "pull_request", "number")
        if found is None and _at(event, "issue", "pull_request") is not None:
            found = _at(event, "issue", "number")
    if isinstance(found, int) and found > 0:
        return found, None
    if fork := _fork(event):
        return None, fork
    raise UsageError(
        "there is no pull request to comment on",
        hint="give --pr N, or run this for pull requests only (on: pull_request, rules: merge_request_event)",
    )


def _fork(event: Mapping[str, Any]) -> Fork | None:
    """What GitHub itself says of the run that this one follows; the artifact has no say in it."""
    if _at(event, "workflow_run", "event") != "pull_request":
        return None
    owner = _at(event, "workflow_run", "head_repository", "owner", "login")
    branch, sha = _at(event, "workflow_run", "head_branch"), _at(event, "workflow_run", "head_sha")
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
            f"the token for {provider} holds characters that no token has",
            hint=f"look at {' and '.join(names)} for quotes or line breaks",
        )
    return found


def _robot(provider: str, environ: Environ) -> str:
    """The login of a workflow's own token."""
    if environ.get("GITHUB_ACTIONS") != "true" or provider == "gitlab":
        return ""
    if provider == "github":
        return "github-actions[bot]"
    return "forgejo-actions" if environ.get("FORGEJO_ACTIONS") == "true" else "gitea-actions"


def _event(environ: Environ) -> Mapping[str, Any]:
    path = environ.get("GITHUB_EVENT_PATH", "")
    if not path:
        return {}
    try:
        event = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return event if isinstance(event, dict) else {}


def _at(data: Any, *keys: str) -> Any:
    for key in keys:
        if not isinstance(data, Mapping):
            return None
        data = data.get(key)
    return data
