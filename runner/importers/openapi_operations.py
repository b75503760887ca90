"""The operations of an OpenAPI document, each as a request with values for all that it requires."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from runner.core.template import Reference
from runner.experiment.suggestions import slug
from runner.importers.bodies import FORM, MULTIPART, is_json, media_type
from runner.importers.draft import Body, Part, RequestDraft, Text, joined
from runner.importers.fitting import problem_of
from runner.importers.names import MAX_NAME, Names, request_name
from runner.importers.notes import Notes
from runner.importers.openapi_credentials import Schemes
from runner.importers.openapi_document import Document
from runner.importers.openapi_parameters import flat, serialized, text_of
from runner.importers.places import merged
from runner.importers.schema_values import Values

_METHODS: Final = ("get", "head", "post", "put", "patch", "delete", "options")
_OTHER_METHODS: Final = ("trace", "query")
_MAX_OPERATIONS: Final = 2_000
_PARAMETER: Final = re.compile(r"\{([^{}/]{1,100})\}")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_SENT: Final = frozenset(
    {"accept", "content-type", "authorization", "host", "user-agent", "content-length"}
)
_BINARY: Final = "binary"


@dataclass(slots=True)
class Operation:
    """An operation that can be sent.

    Attributes:
        path: As in the document, with parameters in braces.
        request: With a value for each parameter.
        known: Names of the path's parameters for which the document has an example.
        responses: The key of the document.
    """

    path: str
    request: RequestDraft
    known: frozenset[str]
    responses: Mapping[str, Any] = field(default_factory=dict)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the path's parameters."""
        return tuple(_PARAMETER.findall(self.path))

    @property
    def label(self) -> str:
        """Method and path."""
        return f"{self.request.method} {self.path}"


class Operations:
    """Reads the operations of a document.

    Args:
        base_path: Stands before all paths.
    """

    def __init__(self, document: Document, base_path: str, notes: Notes) -> None:
        self.names = Names("_")
        self.schemes = Schemes(document, self.names)
        self._document, self._base_path = document, base_path
        self._notes = notes
        self._values = Values(document)
        self._request_names = Names()

    def all(self) -> Iterator[Operation]:
        """Yield the operations that can be sent, in the order of the document."""
        count = 0
        for path, item in self._document.mapping(self._document.root.get("paths")).items():
            whole = self._document.mapping(item)
            for method in _OTHER_METHODS:
                if method in whole:
                    self._notes.add("methods that a specification does not have", f"{method.upper()} {path}")
            for method in _METHODS:
                operation = self._document.mapping(whole.get(method))
                count += 1
                if operation and count <= _MAX_OPERATIONS * len(_METHODS):
                    yield from self._operation(method.upper(), path, whole, operation)

    def _operation(
        self, method: str, path: str, item: Mapping[str, Any], operation: Mapping[str, Any]
    ) -> Iterator[Operation]:
        label = f"{method} {path}"
        if operation.get("deprecated") is True:
            self._notes.add("deprecated", label)
            return
        security = operation.get("security", self._document.root.get("security"))
        credentials = self.schemes.credentials(security)
        body, kind, reason = self._body(operation)
        if credentials is None:
            reason = "credentials of another kind than bearer, basic, OAuth 2 or a key"
        if reason or credentials is None or not path.startswith("/"):
            self._notes.add(reason or "a path that does not begin with /", label)
            return
        self._values.invented = False
        parameters = self._parameters(item, operation)
        values = parameters["path"]
        missing = [name for name in _PARAMETER.findall(path) if name not in values]
        values |= dict.fromkeys(missing, ("string", False))
        request = RequestDraft(
            name=self._request_names.unique(self._name(operation, method, path)),
            method=method,
            path=self.path_with(path, {name: str(value) for name, (value, _) in values.items()}),
            query=(*flat(parameters["query"]), *credentials.query),
            headers=(*flat(parameters["header"]), *_type_of(body, kind), *credentials.headers),
            body=body,
            statuses=self._statuses(operation),
        )
        if problem := problem_of(request):
            self._notes.add(f"no request of a specification ({problem})", label)
            return
        known = frozenset(name for name, (_, is_known) in values.items() if is_known)
        yield Operation(path, request, known, self._document.mapping(operation.get("responses")))

    def path_with(self, path: str, values: Mapping[str, str | Reference]) -> Text:
        """Return a path of the document with values in place of its parameters."""
        pieces: list[str | Reference] = [self._base_path]
        at = 0
        for found in _PARAMETER.finditer(path):
            value = values.get(found[1], "string")
            pieces += [
                quote(path[at : found.start()], safe="/%:@!$&'(),;=+*~"),
                value if isinstance(value, Reference) else quote(value, safe=""),
            ]
            at = found.end()
        pieces.append(quote(path[at:], safe="/%:@!$&'(),;=+*~"))
        return joined(*merged(pieces))

    def _name(self, operation: Mapping[str, Any], method: str, path: str) -> str:
        own = operation.get("operationId")
        name = slug(_CAMEL.sub("-", own[:200]))[:MAX_NAME].strip("-") if isinstance(own, str) else ""
        return name or request_name(method, _PARAMETER.sub("0", path))

    def _parameters(
        self, item: Mapping[str, Any], operation: Mapping[str, Any]
    ) -> dict[str, dict[str, tuple[Any, bool]]]:
        """Return name to value, and whether the document names it, of what is sent in each place."""
        listed = [
            *self._document.mappings(item.get("parameters")),
            *self._document.mappings(operation.get("parameters")),
        ]
        whole = {
            (str(one.get("in")), one.get("name")): one for one in listed if isinstance(one.get("name"), str)
        }
        sent: dict[str, dict[str, tuple[Any, bool]]] = {"path": {}, "query": {}, "header": {}}
        for (place, name), one in whole.items():
            if (
                place not in sent
                or not isinstance(name, str)
                or (place == "header" and name.lower() in _NOT_SENT)
            ):
                continue
            examples = self._document.examples(one)
            if place == "path" or one.get("required") is True or examples:
                schema, value = self._content_schema(one), None
                known = [*examples, *self._values.known(self._values.whole(schema))]
                value = known[0] if known else self._values.value(schema)
                sent[place] |= serialized(name, value, one, is_known=bool(known))
        return sent

    def _content_schema(self, parameter: Mapping[str, Any]) -> Any:
        content = self._document.mapping(parameter.get("content"))
        first = next(iter(content.values()), None)
        return parameter.get("schema", self._document.mapping(first).get("schema"))

    def _body(self, operation: Mapping[str, Any]) -> tuple[Body | None, str, str]:
        """Return the body of an operation, its media type, and why there is none that can be sent."""
        content = self._document.mapping(self._document.mapping(operation.get("requestBody")).get("content"))
        if not content:
            return None, "", ""
        key = min(content, key=_preference)
        kind, media = media_type(key), self._document.mapping(content[key])
        examples = self._document.examples(media)
        value = examples[0] if examples else self._values.value(media.get("schema"))
        if is_json(kind):
            return Body("json", value), kind, ""
        if kind == FORM and isinstance(value, Mapping):
            return Body("form", tuple((str(name), text_of(one)) for name, one in value.items())), kind, ""
        if kind == MULTIPART and isinstance(value, Mapping) and value:
            parts = tuple(self._part(media, name, one) for name, one in value.items())
            return Body("multipart", parts), kind, ""
        if isinstance(value, str) and (examples or kind.startswith("text/")):
            return Body("body", value), kind, ""
        return None, kind, f"bodies of the type {kind} without an example"

    def _part(self, media: Mapping[str, Any], name: str, value: Any) -> Part:
        properties = self._document.mapping(self._values.whole(media.get("schema")).get("properties"))
        schema = self._document.mapping(properties.get(name))
        is_file = schema.get("format") == _BINARY or "contentMediaType" in schema
        return Part(str(name), text_of(value), "file" if is_file else "")

    def _statuses(self, operation: Mapping[str, Any]) -> tuple[int | str, ...]:
        found: list[int | str] = []
        for code in self._document.mapping(operation.get("responses")):
            text = str(code)
            if re.fullmatch(r"[23][0-9]{2}", text):
                found.append(int(text))
            elif re.fullmatch(r"[23]XX", text, re.IGNORECASE):
                found.append(text.lower())
        return tuple(found[:20]) or ("2xx",)


def _preference(kind: str) -> int:
    """Return a key that is smallest for the type that a value can be made for best."""
    order = ("application/json", FORM, MULTIPART)
    name = media_type(kind)
    return (
        order.index(name)
        if name in order
        else 1
        if is_json(name)
        else len(order) + (not name.startswith("text/"))
    )


def _type_of(body: Body | None, kind: str) -> tuple[tuple[str, Text], ...]:
    """Return the header Content-Type where the engine does not send it by itself."""
    implied = body is None or body.kind in {"form", "multipart"} or kind == "application/json" or "*" in kind
    return () if implied else (("Content-Type", kind),)
