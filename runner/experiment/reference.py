"""Every key of a specification as a page for people, made from the same schema that editors read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from runner.experiment.schema import json_schema

_UNIT: Final = "(us|ms|s|m|h)$"
_PARTS: Final = (
    ("topology, kind: process", "ProcessTopology"),
    ("topology, kind: docker", "DockerTopology"),
    ("topology, kind: external", "ExternalTopology"),
    ("topology.app", "App"),
    ("topology.proxy", "Proxy"),
    ("topology.tls", "Certificates"),
    ("load", "Load"),
    ("load.request", "Request"),
    ("load.expect", "Expect"),
    ("stages[], a rate", "Stage"),
    ("stages[], a search", "FindStage"),
    ("stages[].find", "Find"),
    ("metrics", "Metrics"),
)
_KINDS: Final = {
    "object": "map",
    "boolean": "`true`, `false`",
    "integer": "whole number",
    "number": "number",
    "string": "text",
}
_HEAD: Final = """\
# Keys of a specification

Version 1. Made by `runner schema --markdown` from the models that read the file; a test holds it current.
Times and sizes have units (`250us`, `10s`, `256MiB`). Unknown keys, doubled keys and wrong units are errors
that name line and column. Keys in **bold** are required.

"""


def reference() -> str:
    """The page, in Markdown."""
    schema = json_schema()
    required = [*schema["required"], *schema["then"]["required"]]
    parts = [("At the top", schema["properties"], required)]
    parts += [
        (f"`{path}`", schema["$defs"][name]["properties"], schema["$defs"][name].get("required", []))
        for path, name in _PARTS
    ]
    return _HEAD + "\n".join("\n".join(_part(*part)) for part in parts)


def _part(title: str, fields: Mapping[str, Any], required: list[str]) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| key | takes | without it | |"
    yield "| --- | --- | --- | --- |"
    for key, field in fields.items():
        name = f"**{key}**" if key in required else key
        cells = [name, _takes(field), _default(field, required=key in required), _described(field)]
        yield f"| {' | '.join(_cell(cell) for cell in cells)} |"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _described(field: Mapping[str, Any]) -> str:
    said = str(field.get("description", ""))
    return said + "".join(f" Example: `{_inline(each)}`" for each in field.get("examples", [])[:1])


def _default(field: Mapping[str, Any], *, required: bool) -> str:
    if required or field.get("default") in (None, [], {}, ""):
        return ""
    return f"`{_inline(field['default'])}`"


def _inline(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _takes(field: Mapping[str, Any]) -> str:
    choices = field.get("anyOf") or field.get("oneOf")
    if choices:
        found = [
            _takes(choice) for choice in choices if choice.get("type") != "null" and choice.get("const") != 0
        ]
        return " or ".join(dict.fromkeys(found))
    if "$ref" in field:
        return "text" if field["$ref"].endswith("Threshold") else "map"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{each}`" for each in field["enum"])
    return _simple(field)


def _simple(field: Mapping[str, Any]) -> str:
    pattern = field.get("pattern", "")
    if pattern.endswith(_UNIT):
        return "time"
    if "iB" in pattern:
        return "size"
    kind = field.get("type")
    if kind == "array":
        return f"list of {_takes(field.get('items', {}))}"
    return _KINDS.get(kind if isinstance(kind, str) else "", "text or number") + _bounds(field)


def _bounds(field: Mapping[str, Any]) -> str:
    least, most = field.get("minimum"), field.get("maximum")
    return f", {least:,} to {most:,}" if least is not None and most is not None else ""
