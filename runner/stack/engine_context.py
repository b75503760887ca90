"""Docker contexts: the named engines of the `docker` command, and which of them is in use.

The `docker` package reads contexts as well, but it ignores DOCKER_CONTEXT, looks for them in the working
folder when there is no config.json, and follows files without bounds. Standard library only: the watchdog
needs this too.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

DEFAULT_URL: Final = "unix:///var/run/docker.sock"
_DEFAULT: Final = "default"
_LIST: Final = "`docker context ls` lists the contexts"
_FILES: Final = ("ca", "cert", "key")
_MAX_BYTES: Final = 1_048_576
_MAX_CONTEXTS: Final = 1_000


class WrongContext(ValueError):  # noqa: N818  (reads as the sentence it is)
    """A context cannot be used; the message says why, `hint` what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.hint = _LIST


@dataclass(frozen=True, slots=True)
class EngineContext:
    """A named engine.

    Attributes:
        name: Of the context.
        url: Where the engine listens.
        authority: File with who signs the engine's certificate; None for the system's own.
        certificate: File with the own certificate; None for none.
        key: Of the certificate.
        verify: Whether the engine's certificate is checked.
    """

    name: str
    url: str
    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    verify: bool = True

    @property
    def has_tls(self) -> bool:
        """Whether the connection is encrypted, as `docker` decides it."""
        return bool(self.authority or self.certificate or not self.verify)


def current_url() -> str:
    """Return the URL of the engine in use: of DOCKER_HOST, of the current context, or this machine's own.

    Raises:
        WrongContext: The context cannot be used.
    """
    if url := os.environ.get("DOCKER_HOST"):
        return url
    context = current_context()
    return context.url if context else DEFAULT_URL


def current_context() -> EngineContext | None:
    """Return the context in DOCKER_CONTEXT, or that of `docker context use`; None for neither.

    Raises:
        WrongContext: It does not exist, or cannot be read.
    """
    if os.environ.get("DOCKER_HOST"):
        return None
    name = os.environ.get("DOCKER_CONTEXT") or _used()
    if name in ("", _DEFAULT):
        return None
    file = _folder() / "contexts" / "meta" / _id(name) / "meta.json"
    if not file.is_file():
        raise WrongContext(f"there is no Docker context {name!r}")
    try:
        return _context(file)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise WrongContext(f"the Docker context {name!r} cannot be read from {file}: {error}") from None


def context_of(url: str) -> EngineContext | None:
    """Return the context of an engine that is in use: the current one, or else any with this URL.

    Another one may have become the current one since the engine was connected to.
    """
    if os.environ.get("DOCKER_HOST"):
        return None
    with suppress(WrongContext):
        context = current_context()
        if context and context.url == url:
            return context
    return next((context for context in _all() if context.url == url), None)


def _all() -> Iterator[EngineContext]:
    files = sorted((_folder() / "contexts" / "meta").glob("*/meta.json"))[:_MAX_CONTEXTS]
    for file in files:
        with suppress(OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            yield _context(file)


def _folder() -> Path:
    """Return the folder of the `docker` command's own files."""
    return Path(os.environ.get("DOCKER_CONFIG") or default_folder())


def default_folder() -> Path:
    """Return ``~/.docker``; a folder that does not exist for a user without a home."""
    try:
        return Path.home() / ".docker"
    except RuntimeError:
        return Path("/nonexistent/.docker")


def _used() -> str:
    """Return the name that `docker context use` has noted; empty for none, or if nothing is readable."""
    with suppress(OSError, ValueError, AttributeError, RecursionError):
        name = _read(_folder() / "config.json").get("currentContext")
        return name if isinstance(name, str) else ""
    return ""


def _context(file: Path) -> EngineContext:
    meta = _read(file)
    name, endpoint = meta["Name"], meta["Endpoints"]["docker"]
    url = endpoint.get("Host") or DEFAULT_URL
    if not isinstance(name, str) or not isinstance(url, str):
        raise TypeError("Name and Host should be text")
    files = file.parents[2] / "tls" / _id(name) / "docker"
    present = (path if path.is_file() else None for path in (files / f"{one}.pem" for one in _FILES))
    authority, certificate, key = present
    verify = endpoint.get("SkipTLSVerify") is not True
    return EngineContext(
        name, url, authority, certificate if key else None, key if certificate else None, verify
    )


def _id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def _read(file: Path) -> Any:  # whatever JSON it contains
    with file.open("rb") as stream:
        content = stream.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError(f"{file} is larger than {_MAX_BYTES:,} bytes")
    return json.loads(content)
