"""The JSON Schema of a specification file, for editors and other tools.

Generated from the models, with three differences: times and sizes are text with a unit, the keys of
a configuration may be at the top of the file, and configurations may be partial.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from runner.experiment.base_model import WhenUsed
from runner.experiment.model import Experiment
from runner.experiment.overlay import SHARED
from runner.experiment.quantities import format_time

SCHEMA_ID: Final = "https://json-schema.org/draft/2020-12/schema"
_PARTIAL: Final = "Partial"


def json_schema() -> dict[str, Any]:
    """Return the schema; JSON types only."""
    schema = _everywhere(Experiment.model_json_schema(schema_generator=_WholeSchema), _as_in_file)
    definitions = schema["$defs"]
    whole = definitions.pop("Configuration")["properties"]
    definitions |= {_PARTIAL + name: _partial(body) for name, body in definitions.items()}
    definitions["Configuration"] = {
        "type": "object",
        "title": "Configuration",
        "description": "Changes to the keys at the top: maps are merged, lists replaced, null removes a key.",
        "additionalProperties": False,
        "required": ["name"],
        "properties": {
            key: field if key in {"name", "title"} else _partial_field(field) for key, field in whole.items()
        },
    }
    configurations = schema["properties"]["configurations"]
    shared = {key: whole[key] for key in SHARED}
    return {
        "$schema": SCHEMA_ID,
        "title": "Loadproof specification, version 1",
        "description": "One experiment: the system to build, the load to offer and what to measure.",
        "type": "object",
        "additionalProperties": False,
        "required": [key for key in schema["required"] if key != "configurations"],
        "properties": {
            **{key: field for key, field in schema["properties"].items() if key != "configurations"},
            **{key: _partial_field(field) for key, field in shared.items()},
            "configurations": configurations,
        },
        "if": {"not": {"required": ["configurations"]}},
        "then": {"required": ["topology", "stages"], "properties": shared},
        "$defs": dict(sorted(definitions.items())),
    }


def _model_in(schema: Any) -> Any:
    """Return the model that a schema leaves values to, None if it does not."""
    model = schema.get("metadata", {}).get(WhenUsed.MODEL)
    return model() if model else None


class _WholeSchema(GenerateJsonSchema):
    """Describes models that are built only when they are used as it describes the others."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._described: set[str] = set()

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Return False for a field whose value is a model, which has a title of its own."""
        return _model_in(schema) is None and super().field_title_should_be_set(schema)

    def function_plain_schema(self, schema: core_schema.PlainValidatorFunctionSchema) -> JsonSchemaValue:
        """Return a reference to the definition of such a model."""
        model = _model_in(schema)
        if model is None:
            return super().function_plain_schema(schema)
        model.model_rebuild()
        built = model.__pydantic_core_schema__
        parts = built["definitions"] if built["type"] == "definitions" else []
        whole = built["schema"] if parts else built
        ref = f"{model.__module__}.{model.__qualname__}:{id(model)}"
        reference = core_schema.definition_reference_schema(ref)
        if ref in self._described:  # it contains itself, or was described before
            return self.generate_inner(reference)
        self._described.add(ref)
        return self.generate_inner(core_schema.definitions_schema(reference, [*parts, {**whole, "ref": ref}]))


def _everywhere(schema: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Return a copy with `change` applied to every object, innermost first."""
    if isinstance(schema, dict):
        return change({key: _everywhere(value, change) for key, value in schema.items()})
    if isinstance(schema, list):
        return [_everywhere(value, change) for value in schema]
    return schema


def _as_in_file(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with defaults as in a file: ``10s``, not 10.0; without defaults of mappings."""
    schema = dict(schema)
    default = schema.get("default")
    if isinstance(default, float) and schema.get("type") != "number":
        schema["default"] = format_time(default)
    is_properties = all(isinstance(value, dict) for value in schema.values())  # one of them is called default
    if isinstance(default, dict) and not is_properties:
        del schema["default"]
    return schema


def _partial(definition: dict[str, Any]) -> dict[str, Any]:
    """Return a definition without required keys, because the shared keys may have them."""
    definition = copy.deepcopy(definition)
    definition.pop("required", None)
    if "properties" in definition:
        fields = definition["properties"]
        definition["properties"] = {key: _partial_field(field) for key, field in fields.items()}
    return definition


def _partial_field(field: dict[str, Any]) -> dict[str, Any]:
    """Return a field of a configuration: partial if it is merged, and null removes it."""
    annotations: dict[str, Any] = {
        key: field[key] for key in ("title", "description", "default", "examples") if key in field
    }
    rest = {key: value for key, value in field.items() if key not in annotations and key != "discriminator"}
    choices = rest.get("anyOf") or rest.get("oneOf") or [rest]
    choices = [_reference_to_partial(choice) for choice in choices if choice != {"type": "null"}]
    return {**annotations, "anyOf": [*choices, {"type": "null"}]}


def _reference_to_partial(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    *above, name = schema["$ref"].split("/")
    return {**schema, "$ref": "/".join([*above, _PARTIAL + name])}
