"""Certificates of a temporary authority, and TLS contexts of servers that use them."""

import datetime as dt
import ssl
from pathlib import Path

import trustme

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


class Authority:
    """A certificate authority."""

    def __init__(self) -> None:
        self._ca = trustme.CA()

    def file(self, folder: Path) -> str:
        """Write its certificate; returns the path."""
        path = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(path)
        return str(path)

    def context(self, *names: str, expired: bool = False) -> ssl.SSLContext:
        """Return the context of a server with a certificate for `names`."""
        ends = NOW - DAY if expired else NOW + DAY
        certificate = self._ca.issue_cert(*names, not_before=NOW - 9 * DAY, not_after=ends)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context


def self_signed() -> ssl.SSLContext:
    """Return the context of a server whose certificate is its own authority."""
    own = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with own.private_key_pem.tempfile() as key, own.cert_pem.tempfile() as certificate:
        context.load_cert_chain(certificate, key)
    return context
