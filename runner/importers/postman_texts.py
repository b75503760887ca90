"""The ``{{variables}}`` of a collection: defined values, generated ones, secrets, and missing ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from runner.core.template import Reference
from runner.importers.draft import RequestDraft, Text, joined
from runner.importers.names import Names, variable_name
from runner.importers.notes import Notes
from runner.importers.places import Place, merged, replaced
from runner.importers.secrets import Secrets, is_secret, is_secret_at

_VARIABLE: Final = re.compile(r"\{\{([^{}\r\n]{1,200})\}\}")
_MAX_NESTED: Final = 5
_MAX_USES: Final = 200
_MAX_VALUE: Final = 10_000
_MAX_TEXT: Final = 200_000
_GENERATED: Final[Mapping[str, dict[str, Any]]] = {
    "$guid": {"uuid": "v4"},
    "$randomUUID": {"uuid": "v4"},
    "$timestamp": {"timestamp": "s"},
    "$isoTimestamp": {"timestamp": "iso"},
    "$randomInt": {"int": [0, 1000]},
    "$randomAlphaNumeric": {"string": {"length": 1}},
    "$randomBoolean": {"choice": [True, False]},
    "$randomPassword": {"string": {"length": 15}},
    "$randomPrice": {"float": [0, 1000]},
    "$randomPhoneNumber": {"int": [1000000000, 9999999999]},
    "$randomHexadecimal": {"string": {"length": 8, "alphabet": "0123456789abcdef"}},
}


class Texts:
    """Replaces the variables in the texts of a collection."""

    def __init__(self, defined: Mapping[str, str], notes: Notes, changes: Notes) -> None:
        self._defined = {name: value for name, value in defined.items() if value}
        self._variables: dict[str, dict[str, Any]] = {}
        self._notes, self._changes = notes, changes
        self._names = Names("_")
        self._secrets = Secrets(self._names)
        self._extracted: dict[str, Reference] = {}
        self._known: dict[str, Reference] = {}

    @property
    def variables(self) -> dict[str, dict[str, Any]]:
        """Name to definition, as in a specification."""
        return {**self._variables, **self._secrets.variables}

    def define(self, values: Mapping[str, str]) -> None:
        """Add variables of a folder, which replace those of the same name from now on."""
        self._defined.update({name: value for name, value in values.items() if value})

    def extract(self, name: str) -> str:
        """Return the name under which a value is extracted that later texts use."""
        if name not in self._extracted:
            self._extracted[name] = Reference(self._names.unique(variable_name(name)))
        return self._extracted[name].name

    def plain(self, text: str) -> str:
        """Return a text with the values that the collection defines; other variables stay."""
        for _ in range(_MAX_NESTED):
            new = _VARIABLE.sub(lambda found: self._value(found[1].strip(), found[0]), text, count=_MAX_USES)[
                :_MAX_TEXT
            ]
            if new == text:
                break
            text = new
        return text

    def _value(self, name: str, otherwise: str) -> str:
        known = name not in self._extracted and not is_secret(name, self._defined.get(name, ""))
        return self._defined.get(name, otherwise)[:_MAX_VALUE] if known else otherwise

    def text(self, text: str) -> Text:
        """Return a text with a reference for each variable that has no fixed value."""
        pieces: list[Any] = []
        at = 0
        text = self.plain(text)
        for found in _VARIABLE.finditer(text):
            pieces += [text[at : found.start()], self._reference(found[1].strip())]
            at = found.end()
        pieces.append(text[at:])
        try:
            return joined(*merged(pieces))
        except ValueError:
            self._notes.add("a $ before a variable, of which the variable is sent", text)
            return joined(*(piece for piece in pieces if isinstance(piece, Reference)))

    def secret(self, name: str) -> Text:
        """Return a reference to a variable that reads the environment."""
        if name not in self._known:
            variable = self._names.unique(variable_name(name))
            self._variables[variable] = {"env": variable.upper()}
            self._known[name] = Reference(variable)
        return joined(self._known[name])

    def without_secrets(self, request: RequestDraft) -> RequestDraft:
        """Return a request with variables in place of the secrets that stand in it."""
        return replaced(request, self._without_secret)

    def _without_secret(self, place: Place, value: str) -> Text:
        return self._secrets.replaced(place.name, value) if is_secret_at(place, value) else value

    def _reference(self, name: str) -> Reference:
        if name in self._extracted:
            return self._extracted[name]
        if name not in self._known:
            variable = self._names.unique(variable_name(name))
            self._variables[variable] = self._definition(name, variable)
            self._known[name] = Reference(variable)
        return self._known[name]

    def _definition(self, name: str, variable: str) -> dict[str, Any]:
        if name in _GENERATED:
            return dict(_GENERATED[name])
        if name.startswith("$"):
            self._changes.add("random text is sent in place of", name)
            return {"string": {"length": 10}}
        if name not in self._defined:
            self._changes.add(
                "variables that the collection does not define are read from the environment", name
            )
        return {"env": variable.upper()}
