"""The credentials of a Postman request, whose values are secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from runner.importers.draft import Text, joined
from runner.importers.postman_model import entries_of, text_of
from runner.importers.postman_texts import Texts

_SCHEMES: Final[Mapping[str, tuple[str, str, str]]] = {
    "bearer": ("Bearer ", "token", "token"),
    "oauth2": ("Bearer ", "accessToken", "access_token"),
    "basic": ("Basic ", "", "basic_credentials"),
}
"""Kind of credentials to the scheme, the key of the value, and the name of a variable for it."""


class Credentials(NamedTuple):
    """What credentials add to a request."""

    headers: tuple[tuple[str, Text], ...] = ()
    query: tuple[tuple[str, Text], ...] = ()


def auth_headers(auth: Any, texts: Texts, note: Callable[[str], None]) -> Credentials:
    """Return what the credentials of a request add to it.

    Args:
        auth: In the form of the collection; None if there is none.
        texts: Replace the variables.
        note: Receives that a kind of credentials could not be taken over.
    """
    if not isinstance(auth, Mapping):
        return Credentials()
    kind = text_of(auth.get("type"))
    values = entries_of(auth.get(kind))
    if kind == "apikey":
        pair = (texts.plain(values.get("key") or "X-API-Key"), _secret(values.get("value"), "api_key", texts))
        return Credentials(query=(pair,)) if values.get("in") == "query" else Credentials(headers=(pair,))
    if kind in _SCHEMES:
        scheme, key, name = _SCHEMES[kind]
        return Credentials(
            headers=(("Authorization", joined(scheme, *_secret(values.get(key), name, texts))),)
        )
    if kind not in {"", "noauth"}:
        note(f"credentials of the kind {kind}")
    return Credentials()


def _secret(value: str | None, name: str, texts: Texts) -> tuple[Any, ...]:
    """Return a secret: what its variable is for, else a variable of its own, never the value itself."""
    text = texts.text(value) if value and value.startswith("{{") else ""
    text = texts.secret(name) if isinstance(text, str) else text
    return (text,) if isinstance(text, str) else text
