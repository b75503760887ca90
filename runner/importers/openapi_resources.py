"""Things that an OpenAPI document lets users create, read, change and delete: each kind becomes a scenario.

A kind of thing is recognised by a collection such as ``/pets`` with the things below it, ``/pets/{petId}``.
What the path of a thing needs comes from the response that created it, or from the list of all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from runner.core.template import Reference
from runner.experiment.suggestions import slug
from runner.importers.bodies import is_json
from runner.importers.draft import Extract, RequestDraft, ScenarioDraft
from runner.importers.names import MAX_NAME, Names, noun_of, variable_name
from runner.importers.notes import Notes
from runner.importers.openapi_document import Document
from runner.importers.openapi_operations import Operation, Operations
from runner.importers.schema_values import Values

_ORDER: Final = ("POST", "GET", "HEAD", "PUT", "PATCH", "DELETE")
_MAX_SCENARIOS: Final = 15
_LAST_SEGMENT: Final = "([^/?#]+)/?(?:[?#].*)?$"
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class _Kind(NamedTuple):
    """A kind of thing.

    Attributes:
        collection: The path of all.
        parameter: What stands for one of them in a path.
        inside: The operations on one of them and on what it has.
    """

    collection: str
    parameter: str
    inside: tuple[Operation, ...]


class Resources:
    """Makes scenarios of the operations on things."""

    def __init__(self, document: Document, operations: Operations, notes: Notes, changes: Notes) -> None:
        self._document, self._operations = document, operations
        self._notes, self._changes = notes, changes
        self._values = Values(document)
        self._names = Names()

    def scenarios(
        self, found: Sequence[Operation]
    ) -> tuple[tuple[ScenarioDraft, ...], tuple[Operation, ...]]:
        """Return the scenarios, and the operations that are in none and can be sent alone."""
        scenarios: list[ScenarioDraft] = []
        used: set[int] = set()
        for kind in _kinds(found):
            steps = self._created(kind, found) or self._listed(kind, found)
            if steps and len(scenarios) < _MAX_SCENARIOS:
                name = self._names.unique(
                    (noun_of(kind.collection) or "thing")[:MAX_NAME].strip("-") or "thing"
                )
                scenarios.append(ScenarioDraft(name, tuple(request for request, _ in steps)))
                used |= {id(operation) for _, operation in steps}
        rest = [one for one in found if id(one) not in used and self._can_be_alone(one)]
        return tuple(scenarios), tuple(rest)

    def _can_be_alone(self, operation: Operation) -> bool:
        """Return whether an operation makes sense without another one before it; notes what does not."""
        invented = [name for name in operation.parameters if name not in operation.known]
        if operation.request.method == "DELETE":
            self._notes.add("nothing that it could delete is created before", operation.label)
        elif invented and operation.request.method in {"PUT", "PATCH"}:
            self._notes.add("nothing that it could change is known", operation.label)
        else:
            if invented:
                self._changes.add("values in paths are invented, put in real ones", operation.label)
            return True
        return False

    def _created(self, kind: _Kind, found: Sequence[Operation]) -> list[tuple[RequestDraft, Operation]]:
        """Return the life of a thing from its creation to its end; empty if that is not evident."""
        create = _at(found, kind.collection, "POST")
        if create is None:
            return []
        name = variable_name(f"{noun_of(kind.collection)}_id")
        source = self._identifier(create, kind)
        if source is None:
            return []
        variable = self._operations.names.unique(name)
        steps = [(replace(create.request, extract={variable: source}), create)]
        if (all_ := _at(found, kind.collection, "GET")) is not None:
            steps.append((all_.request, all_))
        steps += self._inside(kind, {kind.parameter: Reference(variable)}, _ORDER)
        return self._with_nested(steps, kind, variable, found)

    def _with_nested(
        self,
        steps: list[tuple[RequestDraft, Operation]],
        kind: _Kind,
        variable: str,
        found: Sequence[Operation],
    ) -> list[tuple[RequestDraft, Operation]]:
        """Return the life of a thing with that of the things that are created in it, before its end."""
        for child in _nested(found, kind):
            at = next((at for at, (_, one) in enumerate(steps) if _creates(one, child)), None)
            source = None if at is None else self._identifier(steps[at][1], child)
            if at is None or source is None:
                continue
            request, create = steps[at]
            name = self._operations.names.unique(variable_name(f"{noun_of(child.collection)}_id"))
            steps[at] = (replace(request, extract={**request.extract, name: source}), create)
            known = {kind.parameter: Reference(variable), child.parameter: Reference(name)}
            end = next(
                (at for at, (_, one) in enumerate(steps) if one.request.method == "DELETE"), len(steps)
            )
            steps[end:end] = self._inside(child, known, _ORDER)
        return steps

    def _listed(self, kind: _Kind, found: Sequence[Operation]) -> list[tuple[RequestDraft, Operation]]:
        """Return how a thing is read after the list of all; empty if that is not evident or not needed."""
        all_ = _at(found, kind.collection, "GET")
        reads = [one for one in kind.inside if one.request.method == "GET"]
        if all_ is None or not reads or any(kind.parameter in one.known for one in reads):
            return []
        source = self._identifier_in_list(all_, kind)
        if source is None:
            return []
        variable = self._operations.names.unique(variable_name(f"{noun_of(kind.collection)}_id"))
        return [
            (replace(all_.request, extract={variable: source}), all_),
            *self._inside(kind, {kind.parameter: Reference(variable)}, ("GET",)),
        ]

    def _inside(
        self, kind: _Kind, known: Mapping[str, Reference], methods: Sequence[str]
    ) -> list[tuple[RequestDraft, Operation]]:
        """Return the operations on one thing: deleting it comes last."""
        ranked = sorted(
            (one for one in kind.inside if one.request.method in methods),
            key=lambda one: (
                one.request.method == "DELETE",
                methods.index(one.request.method),
                len(one.path),
            ),
        )
        sent = []
        for one in ranked:
            if one.request.method == "DELETE" and not one.path.rstrip("/").endswith("}"):
                continue
            path = self._operations.path_with(one.path, known)
            sent.append((replace(one.request, path=path), one))
        return sent

    def _identifier(self, create: Operation, kind: _Kind) -> Extract | None:
        """Return where the response that created a thing says which one it is; None if it does not."""
        schema = self._response_schema(create)
        for path, properties in self._objects(schema):
            if key := _identifying(properties, kind):
                return {"json": f"{path}{_step(key)}"}
        for code, response in create.responses.items():
            headers = self._document.mapping(self._document.mapping(response).get("headers"))
            if str(code).startswith("2") and any(str(name).lower() == "location" for name in headers):
                return {"header": "Location", "regex": _LAST_SEGMENT}
        return None

    def _objects(self, schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the properties of a response, then those of the objects in it, such as `data`."""
        properties = self._document.mapping(schema.get("properties"))
        yield "$", properties
        for name, one in list(properties.items())[:50]:
            inside = self._document.mapping(self._values.whole(one).get("properties"))
            if inside and isinstance(name, str):
                yield f"${_step(name)}", inside

    def _identifier_in_list(self, all_: Operation, kind: _Kind) -> Extract | None:
        """Return where the list of all says which things there are; None if it does not."""
        schema = self._response_schema(all_)
        places = [("$", schema)]
        properties = self._document.mapping(schema.get("properties"))
        places += [
            (f"${_step(name)}", self._values.whole(one)) for name, one in list(properties.items())[:50]
        ]
        for path, place in places:
            items = self._values.whole(place.get("items"))
            if key := _identifying(self._document.mapping(items.get("properties")), kind):
                return {"json": f"{path}[*]{_step(key)}", "pick": "random"}
        return None

    def _response_schema(self, operation: Operation) -> Mapping[str, Any]:
        """Return the schema of the first successful response in JSON; an empty one if there is none."""
        for code, response in operation.responses.items():
            if not re.fullmatch(r"2[0-9Xx]{2}", str(code)):
                continue
            content = self._document.mapping(self._document.mapping(response).get("content"))
            for kind, media in content.items():
                if is_json(str(kind)) or kind == "*/*":
                    return self._values.whole(self._document.mapping(media).get("schema"))
        return {}


def _kinds(found: Sequence[Operation]) -> Iterator[_Kind]:
    """Yield the kinds of things whose paths have a single parameter, in the order of the document."""
    collections: dict[tuple[str, str], list[Operation]] = {}
    for one in found:
        if len(one.parameters) == 1:
            before, _, after = one.path.partition(f"{{{one.parameters[0]}}}")
            if before.endswith("/") and (not after or after.startswith("/")):
                collections.setdefault((before.rstrip("/"), one.parameters[0]), []).append(one)
    for (collection, parameter), inside in collections.items():
        if collection:
            yield _Kind(collection, parameter, tuple(inside))


def _nested(found: Sequence[Operation], kind: _Kind) -> Iterator[_Kind]:
    """Yield the kinds of things that things of a kind contain, such as ``/pets/{petId}/visits/{visitId}``."""
    collections: dict[tuple[str, str], list[Operation]] = {}
    for one in found:
        if len(one.parameters) == 2 and one.parameters[0] == kind.parameter:
            before, _, after = one.path.partition(f"{{{one.parameters[1]}}}")
            inside = before.startswith(f"{kind.collection}/{{{kind.parameter}}}/") and before.endswith("/")
            if inside and (not after or after.startswith("/")):
                collections.setdefault((before.rstrip("/"), one.parameters[1]), []).append(one)
    for (collection, parameter), operations in collections.items():
        yield _Kind(collection, parameter, tuple(operations))


def _creates(operation: Operation, kind: _Kind) -> bool:
    return operation.request.method == "POST" and operation.path.rstrip("/") == kind.collection


def _at(found: Sequence[Operation], path: str, method: str) -> Operation | None:
    return next((one for one in found if one.path.rstrip("/") == path and one.request.method == method), None)


def _identifying(properties: Mapping[str, Any], kind: _Kind) -> str:
    """Return the property that is an identifier of a kind of thing; empty if there is none."""
    noun = slug(noun_of(kind.collection)).replace("-", "")
    parameter = _folded(kind.parameter)
    for wanted in (parameter, f"{noun}id", "id", "uuid", "guid", f"{noun}key"):
        for name in properties:
            if isinstance(name, str) and _folded(name) == wanted:
                return name
    return ""


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _step(key: str) -> str:
    return f".{key}" if _PLAIN.fullmatch(key) else f"['{key}']" if "'" not in key and "\\" not in key else ""
