"""An OpenAPI 3 document as a mix of its operations, or as scenarios where it shows the life of things."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from runner.experiment.suggestions import slug
from runner.importers.draft import ChoiceDraft, Draft, RequestDraft, ScenarioDraft, StepDraft
from runner.importers.errors import refused
from runner.importers.notes import Notes
from runner.importers.openapi_document import Document
from runner.importers.openapi_operations import Operations
from runner.importers.openapi_resources import Resources
from runner.importers.urls import target_of

_VARIABLE: Final = re.compile(r"\{([^{}]{1,100})\}")
_MOST_ALTERNATIVES: Final = 100
"""How many operations are alternatives of one step, or requests of one mix."""


def draft_of_openapi(root: Any) -> Draft:
    """Return what the operations of a document request.

    Args:
        root: The decoded document.

    Raises:
        UsageError: It is no OpenAPI 3 document, or has no operation that can be sent.
    """
    notes, changes = Notes(), Notes()
    document = Document(_checked(root))
    origin, base_path = _server(document)
    operations = Operations(document, base_path, notes)
    found = list(operations.all())
    if not found:
        raise refused("it has no operation that can be sent", "; ".join(notes.lines())[:300])
    resources = Resources(document, operations, notes, changes)
    scenarios, rest = resources.scenarios(found)
    for reference in document.unknown:
        notes.add("references to other files or to nothing, which are not followed", reference)
    requests = tuple(one.request for one in rest[:_MOST_ALTERNATIVES])
    for operation in rest[_MOST_ALTERNATIVES:]:
        notes.add(f"beyond the first {_MOST_ALTERNATIVES} operations", operation.label)
    if scenarios and requests:
        scenarios = (*scenarios, ScenarioDraft("other", _alternatives(requests), float(len(requests))))
    title = document.mapping(root.get("info")).get("title")
    return Draft(
        source="an OpenAPI document",
        name=title[:100] if isinstance(title, str) and slug(title) else "",
        url=origin,
        requests=() if scenarios else requests,
        scenarios=scenarios,
        variables=operations.schemes.variables,
        left_out=notes.lines(),
        changed=(
            "weights are equal, because the document does not say how often each is sent",
            *changes.lines(),
        ),
    )


def _checked(root: Any) -> Mapping[str, Any]:
    if not isinstance(root, Mapping):
        raise refused("it is no OpenAPI document: it should be a mapping")
    version = str(root.get("openapi"))
    if not re.fullmatch(r"3\.[0-9](\.[0-9]+)?(-[a-z0-9.]+)?", version):
        hint = "convert it to OpenAPI 3, such as with swagger2openapi" if "swagger" in root else ""
        raise refused(f"only OpenAPI 3 is known, not version {root.get('swagger', version)}"[:100], hint)
    return root


def _alternatives(requests: Sequence[RequestDraft]) -> tuple[StepDraft, ...]:
    """Return a step that sends one of several requests."""
    return (ChoiceDraft(tuple(requests)),) if len(requests) > 1 else tuple(requests)


def _server(document: Document) -> tuple[str, str]:
    """Return origin and base path of the first server; the origin may be empty."""
    server = next(iter(document.mappings(document.root.get("servers"))), {})
    variables = document.mapping(server.get("variables"))

    def default(found: re.Match[str]) -> str:
        return str(document.mapping(variables.get(found[1])).get("default", ""))

    url = _VARIABLE.sub(default, str(server.get("url", "/")))[:2000].rstrip("/")
    if target := target_of(url):
        return target.origin, target.path.partition("?")[0].rstrip("/")
    try:
        path = urlsplit(url).path
    except ValueError:
        path = ""
    return "", path if path.startswith("/") and path.isascii() and " " not in path else ""
