"""Where a Docker Engine listens: on a Unix socket, or by TCP on another machine, with or without TLS.

Standard library only: the watchdog uses it too. Variables and contexts are those of the `docker` command.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from runner.stack.engine_context import context_of, default_folder

_PORT: Final = 2375
_TLS_PORT: Final = 2376
_TCP: Final = frozenset({"tcp", "http", "https"})


class WrongAddress(ValueError):  # noqa: N818  (reads as the sentence it is)
    """A URL cannot be used; the message says why, `hint` what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What an encrypted connection to an engine needs.

    Attributes:
        authority: File with who signs the engine's certificate; None for the system's own.
        certificate: Files with the own certificate and its key; None for none.
        verify: Whether the engine's certificate is checked.
    """

    authority: Path | None = None
    certificate: tuple[Path, Path] | None = None
    verify: bool = True


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """An engine's address.

    Attributes:
        path: Of its Unix socket; empty for TCP.
        host: Name or address; empty for a Unix socket.
        port: Of TCP.
        tls: For an encrypted connection; None for a plain one.
    """

    path: str = ""
    host: str = ""
    port: int = 0
    tls: TlsFiles | None = None


def parse_address(url: str) -> EngineAddress:
    """Return the address in a URL such as DOCKER_HOST contains.

    Raises:
        WrongAddress: It is none that can be connected to.
    """
    if url.startswith("unix://"):
        return EngineAddress(path=url.removeprefix("unix://"))
    if url.startswith("ssh://"):
        raise WrongAddress(
            f"the Docker Engine at {url} cannot be reached by SSH from here",
            "forward its socket with `ssh -nNT -L /tmp/manager.sock:/var/run/docker.sock USER@HOST`, and set "
            "DOCKER_HOST=unix:///tmp/manager.sock",
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if not host or parts.scheme not in _TCP or parts.path.strip("/") or parts.username:
        raise WrongAddress(f"{url} is no address of a Docker Engine", "use unix://PATH or tcp://HOST:PORT")
    tls = _tls_files(url, encrypted=parts.scheme == "https")
    return EngineAddress(host=host, port=port or (_TLS_PORT if tls else _PORT), tls=tls)


def _tls_files(url: str, *, encrypted: bool) -> TlsFiles | None:
    """Return what a connection needs to be encrypted; None for a plain one.

    Raises:
        WrongAddress: A file is missing.
    """
    if context := context_of(url):
        if not (encrypted or context.has_tls):
            return None
        own = (context.certificate, context.key) if context.certificate and context.key else None
        return TlsFiles(context.authority, own, context.verify)
    wanted = os.environ.get("DOCKER_TLS_VERIFY") or os.environ.get("DOCKER_CERT_PATH")
    return _files_of_environment() if encrypted or wanted else None


def _files_of_environment() -> TlsFiles:
    folder = Path(os.environ.get("DOCKER_CERT_PATH") or default_folder())
    authority, certificate, key = files = (folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise WrongAddress(
            f"for TLS with the Docker Engine, {folder} lacks {', '.join(missing)}",
            "set DOCKER_CERT_PATH to the folder with ca.pem, cert.pem and key.pem",
        )
    return TlsFiles(authority, (certificate, key))


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the settings of an encrypted connection, which checks the engine's certificate if it should.

    Raises:
        WrongAddress: A certificate or the key is missing or cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=str(files.authority) if files.authority else None)
        if files.certificate:
            context.load_cert_chain(*files.certificate)
    except (OSError, ssl.SSLError) as error:
        first = files.authority or (files.certificate or (Path(),))[0]
        raise WrongAddress(f"the certificates in {first.parent} cannot be used: {error}") from error
    if not files.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
