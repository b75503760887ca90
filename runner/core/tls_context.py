"""TLS settings shared by the probe before the load and by the load itself.

HTTP/1.1 is the only protocol offered (ALPN), TLS 1.2 the oldest version. Sessions are never resumed: every
new connection performs a full handshake.
"""

from __future__ import annotations

import ssl
from typing import Final

from runner.core.endpoint import Tls

_PROTOCOL: Final = "http/1.1"
_NOT_YET_VALID, _EXPIRED = 9, 10
_SELF_SIGNED = 18
_UNKNOWN_AUTHORITY: Final = frozenset({2, 19, 20, 21})
_OTHER_NAME: Final = frozenset({62, 64})
_INSECURE: Final = "or accept any certificate with topology.tls.insecure: true (the report then says so)"


def client_context(tls: Tls) -> ssl.SSLContext:
    """Return a context that verifies the server's certificate as `tls` requires.

    Raises:
        OSError: The file of authorities cannot be read or contains none (`ssl.SSLError`).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([_PROTOCOL])
    if tls.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif tls.ca_file:
        context.load_verify_locations(tls.ca_file)
    else:
        context.load_default_certs()
    return context


def explained(error: ssl.SSLError, host: str) -> tuple[str, str]:
    """Return why a handshake with `host` failed and what to do about it, a sentence each."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate_error(error, host)
    words = (error.reason or str(error)).replace("_", " ").lower()  # OpenSSL's table names no alerts
    if "no application protocol" in words:
        return (
            f"{host} does not support HTTP/1.1 (it refused it in the TLS handshake)",
            "only HTTP/1.1 is supported, HTTP/2 is not",
        )
    if words in {"wrong version number", "record layer failure", "packet length too long", "http request"}:
        return f"the response of {host} is not TLS", "use http:// if this port serves plain HTTP"
    if "eof" in words:
        return f"{host} closed the connection during the TLS handshake", ""
    return f"the TLS handshake with {host} failed ({words})", ""


def _certificate_error(error: ssl.SSLCertVerificationError, host: str) -> tuple[str, str]:
    code = error.verify_code
    subject = f"the certificate of {host}"
    trust = f"set topology.tls.ca_file to a file with its authority, {_INSECURE}"
    if code == _EXPIRED:
        return f"{subject} has expired", f"renew it, {_INSECURE}"
    if code == _NOT_YET_VALID:
        return f"{subject} is not valid yet", f"check this machine's clock, {_INSECURE}"
    if code == _SELF_SIGNED:
        return f"{subject} is self-signed", trust
    if code in _UNKNOWN_AUTHORITY:
        return f"{subject} is signed by an authority that is not trusted", trust
    if code in _OTHER_NAME:
        return f"{subject} is for another name", f"use the name of the certificate in the url, {_INSECURE}"
    return f"{subject} is not accepted: {error.verify_message}", trust
