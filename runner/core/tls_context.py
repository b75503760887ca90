"""How this program speaks TLS: one way for the probe before the load and for the load itself.

HTTP/1.1 is the only protocol offered (ALPN), TLS 1.2 the oldest version, and no session is
ever resumed: every new connection pays for a whole handshake.
"""

from __future__ import annotations

import ssl
from typing import Final

from runner.core.facts import Tls

_PROTOCOL: Final = "http/1.1"
_NOT_YET, _EXPIRED = 9, 10
_OF_ITSELF = 18
_UNKNOWN_AUTHORITY: Final = frozenset({2, 19, 20, 21})
_OTHER_NAME: Final = frozenset({62, 64})
_INSECURE: Final = "or accept any certificate with topology.tls.insecure: true, which the report then says"


def client_context(tls: Tls) -> ssl.SSLContext:
    """A context whose connections judge the server's certificate as `tls` says.

    Raises:
        OSError: The file of authorities cannot be read, or holds none (`ssl.SSLError`).
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
    """Why a handshake with `host` failed, and what to do about it: a sentence each."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _judgement(error, host)
    words = (error.reason or str(error)).replace("_", " ").lower()  # OpenSSL's table names no alerts
    if "no application protocol" in words:
        return (
            f"{host} does not speak HTTP/1.1 (it refused it in the TLS handshake)",
            "HTTP/1.1 is the only protocol that is spoken here; HTTP/2 is not",
        )
    if words in {"wrong version number", "record layer failure", "packet length too long", "http request"}:
        return f"what {host} answers is not TLS", "use http:// when it speaks plain HTTP on this port"
    if "eof" in words:
        return f"{host} closed the connection in the TLS handshake", ""
    return f"the TLS handshake with {host} failed ({words})", ""


def _judgement(error: ssl.SSLCertVerificationError, host: str) -> tuple[str, str]:
    code = error.verify_code
    subject = f"the certificate of {host}"
    trust = f"name a file with its authority in topology.tls.ca_file, {_INSECURE}"
    if code == _EXPIRED:
        return f"{subject} has expired", f"renew it, {_INSECURE}"
    if code == _NOT_YET:
        return f"{subject} is not valid yet", f"check this machine's clock, {_INSECURE}"
    if code == _OF_ITSELF:
        return f"{subject} is signed by nobody but itself", trust
    if code in _UNKNOWN_AUTHORITY:
        return f"{subject} is signed by an authority that is not trusted here", trust
    if code in _OTHER_NAME:
        return f"{subject} is for another name", f"use the name it is for in the url, {_INSECURE}"
    return f"{subject} is not accepted: {error.verify_message}", trust
