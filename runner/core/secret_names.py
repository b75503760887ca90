"""Which variables are secrets by their name: people call them alike in every environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_PARTS: Final = ("PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL", "DATABASE_URL")
_WORD: Final = re.compile(r"(?:KEY|DSN)(?:[^A-Z]|$)")
_SHORTEST: Final = 8


def is_secret_name(name: str) -> bool:
    """Return whether a variable is called like a secret: ``PGPASSWORD``, ``API_TOKEN``, ``signing_key``."""
    upper = name.upper()
    return any(word in upper for word in _PARTS) or bool(_WORD.search(upper))


def secrets_by_name(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are called like secrets, without paths and without short values."""
    return {
        name: value
        for name, value in environ.items()
        if is_secret_name(name) and len(value) >= _SHORTEST and not value.startswith(("/", "./", "~"))
    }
