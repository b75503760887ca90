"""Explains why an image could not be built or pulled, from the engine's messages.

The runner builds with the engine's classic builder, which does not know BuildKit's extensions of the
Dockerfile: it names some of them, and takes the others for mistakes.
"""

from __future__ import annotations

import re
from typing import Final

_BUILDKIT_ERRORS: Final = re.compile(
    r"buildkit|buildx|"
    r"unknown flag: (?:link|chmod|checksum|exclude|parents|keep-git-dir|unpack)|"
    r"unknown flag: (?:mount|network|security|device)|"
    r"failed to parse platform|"  # BUILDPLATFORM and its like are empty without BuildKit
    r"missing ':' in substitution|unsupported modifier",
    re.IGNORECASE,
)
_HEREDOC: Final = re.compile(r"^\s*(?:RUN|COPY|ADD)\b.*<<-?[\"']?\w", re.IGNORECASE | re.MULTILINE)
_NO_ANSWER: Final = re.compile(
    r"no such host|connection refused|timeout|timed out|unreachable|does not respond|"
    r"temporary failure|server misbehaving|no route to host|connection reset|proxyconnect|x509|EOF$",
    re.IGNORECASE,
)
_UNKNOWN: Final = re.compile(
    r"access denied|manifest unknown|manifest for .* not found|repository .* not found|unauthorized",
    re.IGNORECASE,
)


def build_hint(error: str, dockerfile: str, folder: str) -> str:
    """Return what to do about a failed build; empty if the message says it all.

    Args:
        error: The engine's message.
        dockerfile: The text of the Dockerfile.
        folder: The build folder.
    """
    heredoc = "unknown instruction" in error and _HEREDOC.search(dockerfile)
    if heredoc or _BUILDKIT_ERRORS.search(error):
        return (
            "this Dockerfile needs BuildKit, which the runner does not use: run "
            f"`DOCKER_BUILDKIT=1 docker build -t NAME {folder}` and write `image: NAME` instead of `build`"
        )
    is_registry = "/v2/" in error or _UNKNOWN.search(error)
    return pull_hint(error) if is_registry else ""


def pull_hint(reason: str) -> str:
    """Return what to do about an image that cannot be pulled."""
    if _UNKNOWN.search(reason):
        return "check the image's name and tag; a private registry needs `docker login` first"
    if _NO_ANSWER.search(reason):
        return (
            "no registry responds: check this machine's network and proxy, or pull the image "
            "on another machine and load it here (docker save, docker load)"
        )
    return "pull it where there is network access and load it here (docker save, docker load)"
