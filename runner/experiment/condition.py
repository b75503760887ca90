"""What an `if` or `until` of a scenario asks of an extracted value."""

from typing import Annotated, Any, Final, Self, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from runner.core.template import has_opening
from runner.experiment.base_model import SpecModel, WhenUsed, conflict_if, invalid_value, refuse
from runner.experiment.expect import RULES_TAG, VALUE_TAG, Pattern
from runner.experiment.fields import Number
from runner.experiment.suggestions import display


def _expected(value: object) -> object:
    """Return the value, or the values, that a condition accepts."""
    if isinstance(value, list | tuple):
        if not value:
            raise invalid_value("should not be empty: the condition would never hold")
        if any(isinstance(item, dict | list | tuple) for item in value):
            raise invalid_value("should be a list of single values")
    for item in value if isinstance(value, list | tuple) else (value,):
        if isinstance(item, str) and has_opening(item):
            message = f"conditions have no variables, but this contains ${{: {display(item)}"
            raise invalid_value(message, "compare with a fixed value")
    return value


def _kind_of_condition(value: Any) -> str:
    return RULES_TAG if isinstance(value, dict | SpecModel) else VALUE_TAG


class ConditionRules(SpecModel):
    """What holds for an extracted value."""

    min: Number | None = Field(None, description="It is a number of at least this.")
    max: Number | None = Field(None, description="It is a number of at most this.")
    exists: Annotated[bool, Field(strict=True)] | None = Field(
        None, description="Whether the name has a value at all; true when absent."
    )
    matches: Pattern | None = Field(None, description="Regular expression (RE2) that matches in its text.")

    @property
    def asks_of_value(self) -> bool:
        """Whether it asks for more than whether there is a value."""
        return any(rule is not None for rule in (self.min, self.max, self.matches))

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        described = self.asks_of_value
        empty = not described and self.exists is None
        crossed = self.min is not None and self.max is not None and self.min > self.max
        refuse(
            conflict_if(empty, (), "should have at least one of min, max, exists and matches"),
            conflict_if(crossed, ("max",), "should be at least min"),
            conflict_if(
                described and self.exists is False, ("exists",), "cannot be false beside other conditions"
            ),
        )
        return self


_VALUE_SCHEMA: Final = {"type": ["string", "number", "boolean", "null", "array"]}
Condition: TypeAlias = Annotated[
    Annotated[ConditionRules, WhenUsed(), Tag(RULES_TAG)]
    | Annotated[Any, BeforeValidator(_expected), WithJsonSchema(_VALUE_SCHEMA), Tag(VALUE_TAG)],
    Discriminator(_kind_of_condition),
]
"""A value, a list of values, or rules."""


def requires_value(condition: Any) -> bool:
    """Return whether a condition holds only for a name that has a value."""
    return not (isinstance(condition, ConditionRules) and condition.exists is False)
