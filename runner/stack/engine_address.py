"""Where a Docker Engine listens: on a Unix socket, or by TCP on another machine, with or without TLS.

Standard library only: the watchdog uses it too. The variables are those of the `docker` command.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

_PORT: Final = 2375
_TLS_PORT: Final = 2376
_TCP: Final = frozenset({"tcp", "http", "https"})


class WrongAddress(ValueError):  # noqa: N818  (reads as the sentence it is)
    """A URL cannot be used; the message says why, `hint` what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """An engine's address.

    Attributes:
        path: Of its Unix socket; empty for TCP.
        host: Name or address; empty for a Unix socket.
        port: Of TCP.
        tls: Whether the connection is encrypted and both sides prove who they are.
    """

    path: str = ""
    host: str = ""
    port: int = 0
    tls: bool = False


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
        tls = parts.scheme == "https" or _wants_tls()
        host, port = parts.hostname, parts.port or (_TLS_PORT if tls else _PORT)
    except ValueError:
        host, port, tls = None, 0, False
    if not host or parts.scheme not in _TCP or parts.path.strip("/") or parts.username:
        raise WrongAddress(f"{url} is no address of a Docker Engine", "use unix://PATH or tcp://HOST:PORT")
    return EngineAddress(host=host, port=port, tls=tls)


def _wants_tls() -> bool:
    return bool(os.environ.get("DOCKER_TLS_VERIFY") or os.environ.get("DOCKER_CERT_PATH"))


def certificate_files() -> tuple[Path, Path, Path]:
    """Return the files with the engine's authority, the own certificate and its key.

    Raises:
        WrongAddress: One is missing.
    """
    folder = Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
    files = (folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise WrongAddress(
            f"for TLS with the Docker Engine, {folder} lacks {', '.join(missing)}",
            "set DOCKER_CERT_PATH to the folder with ca.pem, cert.pem and key.pem",
        )
    return files


def tls_context() -> ssl.SSLContext:
    """Return the settings of a connection that is encrypted and checks the engine's certificate.

    Raises:
        WrongAddress: A certificate or the key is missing or cannot be used.
    """
    authority, certificate, key = certificate_files()
    try:
        context = ssl.create_default_context(cafile=str(authority))
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise WrongAddress(f"the certificates in {authority.parent} cannot be used: {error}") from error
    return context
