"""The JSON Schema of results.json, generated from its types."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from runner.core import (
    codes,
    findings,
    judgements,
    load_facts,
    load_results,
    measured,
    node_results,
    observed_results,
    repeat_results,
    results,
    scaling_results,
    stage_results,
    system_facts,
)
from runner.core.results import Results

_MODULES: Final = (
    results, stage_results, node_results, measured, findings, judgements, observed_results, load_results,
    repeat_results, scaling_results, load_facts, system_facts, codes,
)  # fmt: skip
"""Where the types are defined."""
_SECTION: Final = "\n\nAttributes:\n"
_ATTRIBUTE: Final = re.compile(r"^(\w+): (.+?)(?=^\w+: |\Z)", re.MULTILINE | re.DOTALL)


def results_schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12); descriptions come from the docstrings of the types."""
    schema = msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(Results)))  # defaults become JSON
    for name, definition in schema["$defs"].items():
        kind = next(vars(module)[name] for module in _MODULES if name in vars(module))
        _describe(definition, kind)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "results.json of Loadproof",
        **schema,
    }


def _describe(definition: dict[str, Any], kind: type) -> None:
    """Give each property its own description; the type keeps what stands before its attributes."""
    definition["description"] = _one_line(_doc(kind).partition(_SECTION)[0])
    for base in reversed(kind.__mro__):
        for name, text in _attributes(_doc(base)):
            if name in definition.get("properties", {}):
                definition["properties"][name]["description"] = text


def _doc(kind: type) -> str:
    return inspect.cleandoc(kind.__doc__ or "")


def _attributes(doc: str) -> Iterator[tuple[str, str]]:
    section = inspect.cleandoc("\n" + doc.partition(_SECTION)[2])
    for match in _ATTRIBUTE.finditer(section):
        yield match[1], _one_line(match[2])


def _one_line(text: str) -> str:
    return " ".join(text.split())
