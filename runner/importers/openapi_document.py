"""An OpenAPI 3 document, whose references lead to other places in it and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

_MAX_HOPS: Final = 20
_NOTHING: Final[Mapping[str, Any]] = {}


class Document:
    """Follows the references of a document.

    Attributes:
        root: The document.
        unknown: References that lead to other files or to nothing; they are never fetched.
    """

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root = root
        self.unknown: dict[str, None] = {}

    def mapping(self, node: Any) -> Mapping[str, Any]:
        """Return a mapping or what its reference leads to; an empty one for anything else.

        Keys beside a reference add to what it leads to, as in OpenAPI 3.1.
        """
        beside: dict[str, Any] = {}
        for _ in range(_MAX_HOPS):
            if not isinstance(node, Mapping):
                return _NOTHING
            reference = node.get("$ref")
            if not isinstance(reference, str):
                return {**node, **beside} if beside else node
            beside = {**{key: value for key, value in node.items() if key != "$ref"}, **beside}
            node = self._target(reference)
        return _NOTHING

    def _target(self, reference: str) -> Any:
        if not reference.startswith("#"):
            self.unknown[reference[:100]] = None
            return None
        node: Any = self.root
        for part in reference[1:].split("/")[1:]:
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(node, Mapping):
                node = node.get(key)
            elif isinstance(node, Sequence) and not isinstance(node, str) and key.isdecimal():
                node = node[int(key)] if len(key) < 9 and int(key) < len(node) else None
            else:
                node = None
            if node is None:
                self.unknown[reference[:100]] = None
                return None
        return node

    def mappings(self, node: Any) -> list[Mapping[str, Any]]:
        """Return the entries of a list that are mappings, each by its reference."""
        return [self.mapping(one) for one in node] if isinstance(node, list) else []

    def examples(self, node: Mapping[str, Any]) -> list[Any]:
        """Return the examples of a parameter, media type or schema, in order."""
        found = [node["example"]] if "example" in node else []
        several = node.get("examples")
        if isinstance(several, list):
            found += several
        elif isinstance(several, Mapping):
            found += [one["value"] for one in map(self.mapping, several.values()) if "value" in one]
        return found
