"""The base class of every model in the specification, and how validators report problems."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final, NamedTuple, Protocol

import runner.experiment.quick_pydantic  # noqa: F401  (before pydantic)

# isort: split
from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
)
from pydantic import ValidationError as ValidationError  # noqa: PLC0414  (given on)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

FROM_FILE: Final = {"from_file": True}
"""The validation context of values from a file, where a time needs a unit."""
FILE_PROBLEM: Final = "file_problem"
"""Key of the validation context: a `FileProblem`, or None."""
ROWS: Final = "rows"
"""Key of the validation context: a `runner.experiment.variables.ReadRows`, or None."""

INVALID_VALUE: Final = "invalid_value"
CONFLICT: Final = "conflict"


class FileProblem(Protocol):
    """Says what is wrong with a file that the specification names."""

    def __call__(self, path: str, *, most: int = ..., least: int = ...) -> str:
        """Return why a file cannot be used, empty if it can.

        Args:
            path: As in the specification.
            most: Its largest size in bytes; without it, that of a file that a request sends.
            least: Its smallest size in bytes; without it, 0.
        """


class SpecModel(BaseModel):
    """A mapping in the specification: frozen, and unknown keys are refused.

    For the program to start fast, only the outermost model is built; the others are part of it. Modules with
    models do without ``from __future__ import annotations``, or pydantic would compile each annotation. A
    field whose key pydantic uses itself, such as ``json``, has that key as its alias.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, serialize_by_alias=True)

    @classmethod
    def fields_by_key(cls) -> dict[str, str]:
        """Return the keys in a file, each with the name of its field."""
        return {field.alias or name: name for name, field in cls.model_fields.items()}

    def unused_keys(self) -> frozenset[str]:
        """Return the keys without a meaning beside the others; a written specification omits them."""
        return frozenset()


class SparseModel(SpecModel):
    """A mapping whose absent keys are left out of a written specification."""

    @model_serializer(mode="wrap")
    def _without_absent_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = handler(self)
        return {key: value for key, value in content.items() if value is not None}


class WhenUsed:
    """Marks a model, in ``Annotated[Model, WhenUsed()]``, that is built for the first value of its type.

    A specification uses few of the models, and to build all takes a tenth of the time to validate it. With
    module and name of a model, in ``Annotated[Any, WhenUsed("runner.experiment.scenario", "Scenario")]``, the
    module is imported only then as well.
    """

    MODEL: Final = "model"
    """Key of the schema's metadata: a function that returns the model, for the JSON Schema."""

    def __init__(self, module: str = "", name: str = "") -> None:
        self._module, self._name = module, name

    def model(self) -> type[SpecModel] | None:
        """Return the model whose place it has; None if it has none."""
        if not self._module:
            return None
        model: type[SpecModel] = getattr(import_module(self._module), self._name)
        return model

    def __get_pydantic_core_schema__(
        self, source: type[SpecModel], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return a schema that leaves values to the model, whose errors have the same locations."""
        del handler

        def model() -> type[SpecModel]:
            return self.model() or source

        def validate(value: Any, info: ValidationInfo) -> SpecModel:
            return model().model_validate(value, context=info.context)

        return core_schema.with_info_plain_validator_function(validate, metadata={self.MODEL: model})


def is_from_file(info: ValidationInfo) -> bool:
    """Return whether the value comes from a file, not from Python, where seconds are floats."""
    return bool(info.context and info.context.get("from_file"))


class Conflict(NamedTuple):
    """Fields that cannot be combined; `at` leads from the reporting model down to the field to point at."""

    at: tuple[str | int, ...]
    message: str
    hint: str = ""


def conflict_if(wrong: object, at: tuple[str | int, ...], message: str, hint: str = "") -> Conflict | None:
    """Return the conflict if something is wrong."""
    return Conflict(at, message, hint) if wrong else None


def invalid_value(message: str, hint: str = "") -> PydanticCustomError:
    """Return the error that a field's validator raises."""
    return PydanticCustomError(INVALID_VALUE, "{message}", {"message": message, "hint": hint})


def refuse(*conflicts: Conflict | None) -> None:
    """Raise all conflicts of a model as one error, if there are any."""
    present = [conflict for conflict in conflicts if conflict]
    if present:
        message = "; ".join(conflict.message for conflict in present)
        raise PydanticCustomError(CONFLICT, "{message}", {"message": message, "conflicts": present})
