"""The credentials that an OpenAPI document asks for: their values are variables that read the environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from runner.core.template import Reference
from runner.importers.draft import Text, joined
from runner.importers.names import Names, variable_name
from runner.importers.openapi_document import Document


class Credentials(NamedTuple):
    """What credentials add to a request."""

    headers: tuple[tuple[str, Text], ...] = ()
    query: tuple[tuple[str, Text], ...] = ()


class Schemes:
    """The security schemes of a document.

    Attributes:
        variables: Name to definition, as in a specification.
    """

    def __init__(self, document: Document, names: Names) -> None:
        self.variables: dict[str, dict[str, str]] = {}
        self._document, self._names = document, names
        components = document.mapping(document.root.get("components"))
        self._schemes = document.mapping(components.get("securitySchemes"))
        self._known: dict[str, Reference] = {}

    def credentials(self, required: Any) -> Credentials | None:
        """Return what one of several alternatives adds; None if none of them can be taken over.

        Args:
            required: The key ``security`` of an operation, or of the document.
        """
        alternatives = (
            [one for one in required if isinstance(one, Mapping)] if isinstance(required, list) else []
        )
        if not alternatives or any(not one for one in alternatives):
            return Credentials()
        for one in alternatives:
            parts = [self._part(name) for name in one]
            if all(part is not None for part in parts):
                known = [part for part in parts if part is not None]
                headers = {name: value for part in known for name, value in part.headers}
                query = {name: value for part in known for name, value in part.query}
                return Credentials(tuple(headers.items()), tuple(query.items()))
        return None

    def _part(self, name: str) -> Credentials | None:
        scheme = self._document.mapping(self._schemes.get(name))
        kind = str(scheme.get("type"))
        if kind == "http" and str(scheme.get("scheme", "")).lower() in {"bearer", "basic"}:
            word = str(scheme["scheme"]).capitalize()
            own = "token" if word == "Bearer" else "basic_credentials"
            return Credentials(headers=(("Authorization", joined(f"{word} ", self._variable(own))),))
        if kind in {"oauth2", "openIdConnect"}:
            return Credentials(
                headers=(("Authorization", joined("Bearer ", self._variable("access_token"))),)
            )
        parameter = scheme.get("name")
        if kind != "apiKey" or not isinstance(parameter, str):
            return None
        value = joined(self._variable(variable_name(name)))
        if scheme.get("in") == "query":
            return Credentials(query=((parameter, value),))
        if scheme.get("in") == "cookie":
            pair = joined(f"{parameter}=", self._variable(variable_name(name)))
            return Credentials(headers=(("Cookie", pair),))
        return Credentials(headers=((parameter, value),))

    def _variable(self, name: str) -> Reference:
        if name not in self._known:
            variable = self._names.unique(name)
            self.variables[variable] = {"env": variable.upper()}
            self._known[name] = Reference(variable)
        return self._known[name]
