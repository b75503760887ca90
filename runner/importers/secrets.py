"""What of a recording is secret: it is replaced by variables that read the environment."""

from __future__ import annotations

import re
from typing import Final

from runner.core.template import Reference
from runner.importers.draft import Text, joined
from runner.importers.names import Names, variable_name
from runner.importers.places import Place, Where, scheme_and_rest

_SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie"})
_SECRET_NAME: Final = re.compile(
    r"pass(?:word|wd|phrase|code)?$|^pwd|pwd$|secret|token|api[-_ ]?key|auth(?:orization)?$|session|^sid$"
    r"|credential|private[-_ ]?key|signature|^sig$|^otp|^pin$|^cvv|^cvc|card[-_ ]?(?:number|no)$|csrf|xsrf"
    r"|jwt|verifier|assertion",
    re.IGNORECASE,
)
_SECRET_NUMBER: Final = re.compile(
    r"pass(?:word|wd|code)?$|pwd|^otp|^pin$|^cvv|^cvc|card[-_ ]?(?:number|no)$", re.IGNORECASE
)
_NO_SECRET: Final = re.compile(r"token[-_ ]?type|max[-_ ]?tokens|[0-9]{0,1}|true|false|null", re.IGNORECASE)
_MAX_LOOKED_AT: Final = 4_000
_JWT: Final = re.compile(r"eyJ[A-Za-z0-9_-]{5,}\.eyJ?[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*")


def is_secret(name: str, value: str) -> bool:
    """Return whether the value of a header, field or parameter should not be in a file."""
    if not value or _NO_SECRET.fullmatch(name) or _NO_SECRET.fullmatch(value):
        return False
    return name.lower() in _SECRET_HEADERS or bool(
        _SECRET_NAME.search(name[-100:]) or _JWT.search(value[:_MAX_LOOKED_AT])
    )


def is_secret_at(place: Place, value: str) -> bool:
    """Return whether the value at a place of a request should not be in a file.

    A number is secret only where its name says that it is one; in a path, nothing says what a value is.
    """
    if place.kind is int:
        return _SECRET_NUMBER.search(place.name[-100:]) is not None
    return is_secret("" if place.where is Where.PATH else place.name, value)


class Secrets:
    """Variables for secrets, the same one for the same value.

    Attributes:
        variables: Name to definition, as in a specification.
    """

    def __init__(self, names: Names) -> None:
        self.variables: dict[str, dict[str, str]] = {}
        self._names = names
        self._known: dict[str, Reference] = {}

    def replaced(self, name: str, value: str) -> Text:
        """Return what stands in place of a secret: a reference to a variable.

        Args:
            name: Of the header, field or parameter.
            value: The secret, which is in no output.
        """
        if name.lower() in {"authorization", "proxy-authorization"}:
            scheme, rest = scheme_and_rest(value)
            own = "token" if scheme.lower() == "bearer " else name
            return joined(scheme, self._reference(own, rest))
        return joined(self._reference(name, value))

    def _reference(self, name: str, value: str) -> Reference:
        if value not in self._known:
            variable = self._names.unique(variable_name(name))
            self.variables[variable] = {"env": variable.upper()}
            self._known[value] = Reference(variable)
        return self._known[value]
