"""Which part of a file a request sends."""

from typing import Annotated, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

from runner.core.template import TemplateError, parse
from runner.experiment.base_model import SpecModel, invalid_value
from runner.experiment.quantities import MIB, Size
from runner.experiment.suggestions import display

MAX_OFFSET: Final = 2**53
MAX_BODY: Final = 64 * MIB

_OFFSET_SCHEMA: Final = WithJsonSchema(
    {"anyOf": [{"type": "integer", "minimum": 0, "maximum": MAX_OFFSET}, {"type": "string"}]}
)


def _references(text: str) -> tuple[object, ...]:
    try:
        return parse(text)
    except TemplateError:
        return ()


def _offset(value: object) -> object:
    if isinstance(value, str):
        if len(_references(value)) == 1 and value.startswith("${"):
            return value
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_OFFSET:
        return value
    hint = "such as ${offset}, extracted from a response"
    raise invalid_value(f"should be a whole number or a single ${{name}}, not {display(value)}", hint)


class BodyRange(SpecModel):
    """Which bytes of a file are sent as the body: fewer at its end."""

    begin: Annotated[int | str, BeforeValidator(_offset), _OFFSET_SCHEMA] = Field(
        alias="from",
        description="Place of the first byte, from 0: a whole number, or one ${name} whose value is one.",
        examples=["${offset}"],
    )
    size: Annotated[int, Size(1, MAX_BODY)] = Field(
        alias="bytes", description="How many bytes to send at most.", examples=["64KiB"]
    )
