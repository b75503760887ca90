"""What a successful response looks like: status, headers and body."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)

from runner.core.template import has_opening
from runner.experiment.base_model import Conflict, SpecModel, WhenUsed, conflict_if, invalid_value, refuse
from runner.experiment.fields import AsWritten, Number, Text
from runner.experiment.suggestions import display

VALUE_TAG: Final = "#value"
RULES_TAG: Final = "#rules"
"""Tags that cannot be keys, because an error's location contains both."""

_HEADER_NAME: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}"
_STATUS_CLASS: Final = r"[2-5]xx"
_LOWEST, _HIGHEST = 200, 599
_MAX_PATTERN: Final = 1000


def header_name(name: str) -> str:
    """Return a name that a header can have, or raise a `PydanticCustomError` about it."""
    if not re.fullmatch(_HEADER_NAME, name):
        raise invalid_value(f"should be a header name, not {display(name)}")
    return name


def _status(value: object) -> object:
    if isinstance(value, str):
        if re.fullmatch(_STATUS_CLASS, value):
            return value
        hint = f"write {value.lower()}" if re.fullmatch(_STATUS_CLASS, value.lower()) else ""
        message = "should be a status code or one of 2xx, 3xx, 4xx and 5xx, not"
        raise invalid_value(f"{message} {display(value)}", hint)
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid_value(f"should be a whole number, not {display(value)}")
    if value < _LOWEST:
        raise invalid_value(f"should be at least {_LOWEST}, not {value}")
    if value > _HIGHEST:
        raise invalid_value(f"should be at most {_HIGHEST}, not {value}")
    return value


def _texts(value: object) -> object:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _pattern(value: str) -> str:
    from runner.core.regex import compiled  # noqa: PLC0415  (only specifications with an expression pay for it)

    try:
        compiled(value)
    except ValueError as error:
        hint = "the syntax is RE2's: no look-around and no back-references"
        raise invalid_value(f"is not a regular expression ({error}): {display(value)}", hint) from None
    return value


def _json_path(value: str) -> str:
    from runner.core.jsonpath import check  # noqa: PLC0415  (only specifications with a path pay for it)

    try:
        check(value)
    except ValueError as error:
        hint = "such as $.items[0].state (RFC 9535, without match() and search())"
        raise invalid_value(f"is not a JSONPath ({error}): {display(value)}", hint) from None
    return value


def _expected_json(value: object) -> object:
    items = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(item, dict | list | tuple) for item in items):
        hint = "check its parts with one path each"
        raise invalid_value("should be a single value or a list of such", hint)
    return value


def _kind_of_check(value: Any) -> str:
    return RULES_TAG if isinstance(value, dict | SpecModel) else VALUE_TAG


StatusCode: TypeAlias = Annotated[
    int | str,
    BeforeValidator(_status),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": _LOWEST, "maximum": _HIGHEST},
                {"type": "string", "pattern": f"^{_STATUS_CLASS}$"},
            ]
        }
    ),
]
Texts: TypeAlias = Annotated[
    tuple[Annotated[Text, Field(min_length=1)], ...],
    BeforeValidator(_texts),
    Field(max_length=100),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 100},
                {"type": "null"},
            ]
        }
    ),
]
Pattern: TypeAlias = Annotated[Text, Field(min_length=1, max_length=_MAX_PATTERN), AfterValidator(_pattern)]
JsonPath: TypeAlias = Annotated[Text, Field(max_length=_MAX_PATTERN), AfterValidator(_json_path)]
ResponseHeader: TypeAlias = Annotated[Text, AfterValidator(header_name)]


class JsonRules(SpecModel):
    """What holds for the values at a place in a JSON document."""

    min: Number | None = Field(None, description="Every value there is a number of at least this.")
    max: Number | None = Field(None, description="Every value there is a number of at most this.")
    exists: Annotated[bool, Field(strict=True)] | None = Field(
        None, description="Whether there is a value at all; true when absent."
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        bounded = self.min is not None or self.max is not None
        empty = not bounded and self.exists is None
        crossed = self.min is not None and self.max is not None and self.min > self.max
        refuse(
            conflict_if(empty, (), "should have at least one of min, max and exists"),
            conflict_if(crossed, ("max",), "should be at least min"),
            conflict_if(bounded and self.exists is False, ("exists",), "cannot be false beside min or max"),
        )
        return self


class HeaderRules(SpecModel):
    """What holds for a header of the response."""

    contains: Text | None = Field(None, min_length=1, description="Text that its value contains.")
    matches: Pattern | None = Field(None, description="Regular expression (RE2) that matches in its value.")
    exists: Annotated[bool, Field(strict=True)] | None = Field(
        None, description="Whether the response has it; true when absent."
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        described = self.contains is not None or self.matches is not None
        empty = not described and self.exists is None
        absent = described and self.exists is False
        refuse(
            conflict_if(empty, (), "should have at least one of contains, matches and exists"),
            conflict_if(absent, ("exists",), "cannot be false beside contains or matches"),
        )
        return self


_JSON_VALUE: Final = {"type": ["string", "number", "boolean", "null", "array"]}
JsonCheck: TypeAlias = Annotated[
    Annotated[JsonRules, WhenUsed(), Tag(RULES_TAG)]
    | Annotated[Any, BeforeValidator(_expected_json), WithJsonSchema(_JSON_VALUE), Tag(VALUE_TAG)],
    Discriminator(_kind_of_check),
]
HeaderCheck: TypeAlias = Annotated[
    Annotated[HeaderRules, WhenUsed(), Tag(RULES_TAG)] | Annotated[AsWritten, Tag(VALUE_TAG)],
    Discriminator(_kind_of_check),
]


class Expect(SpecModel):
    """Criteria for a successful response."""

    status: tuple[StatusCode, ...] = Field(
        (200,),
        min_length=1,
        max_length=100,
        description="Status codes of a successful response; 2xx stands for 200 to 299.",
        examples=[["2xx", 304]],
    )
    body_contains: Texts = Field((), description="Text, or texts, that the body contains.")
    not_body_contains: Texts = Field((), description="Text, or texts, that the body does not contain.")
    body_matches: Pattern | None = Field(
        None,
        description="Regular expression (RE2) that matches somewhere in the body.",
        examples=["order [0-9]+"],
    )
    json_checks: dict[JsonPath, JsonCheck] = Field(
        default_factory=dict,
        alias="json",
        max_length=100,
        description="JSONPath to the value at that place, or to {min, max, exists}; of a path that selects "
        "several values, all are checked.",
        examples=[{"$.state": "accepted", "$.items[0].price": {"min": 1}}],
    )
    headers: dict[ResponseHeader, HeaderCheck] = Field(
        default_factory=dict,
        max_length=100,
        description="Header to its value, or to {contains, matches, exists}.",
        examples=[{"Content-Type": {"contains": "json"}}],
    )

    @model_validator(mode="after")
    def _check_literals(self) -> Self:
        message = "expect has no variables, but this contains ${"
        text_hint, pattern_hint = "write $${ for a literal ${", "write [$][{] for a literal ${"
        refuse(
            *(conflict_if(has_opening(text), at, message, text_hint) for at, text in self._literals()),
            *(conflict_if("${" in text, at, message, pattern_hint) for at, text in self._patterns()),
        )
        return self

    def _literals(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield the texts that responses are compared with, after the keys that lead to them."""
        for key in ("body_contains", "not_body_contains"):
            for index, text in enumerate(getattr(self, key)):
                yield (key, index), text
        for path, rules in self.json_checks.items():
            values = rules if isinstance(rules, list | tuple) else [rules]
            yield from ((("json", path), value) for value in values if isinstance(value, str))
        for name, header in self.headers.items():
            if isinstance(header, str):
                yield ("headers", name), header
            elif header.contains:
                yield ("headers", name, "contains"), header.contains

    def _patterns(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield the regular expressions, after the keys that lead to them."""
        if self.body_matches:
            yield ("body_matches",), self.body_matches
        for name, header in self.headers.items():
            if isinstance(header, HeaderRules) and header.matches:
                yield ("headers", name, "matches"), header.matches

    @property
    def statuses(self) -> tuple[int, ...]:
        """The status codes, with classes written out."""
        return tuple(dict.fromkeys(code for entry in self.status for code in _codes(entry)))

    @property
    def body_checks(self) -> tuple[str, ...]:
        """The keys that say something about the body."""
        given = {
            "body_contains": self.body_contains,
            "not_body_contains": self.not_body_contains,
            "body_matches": self.body_matches,
            "json": self.json_checks,
        }
        return tuple(key for key, value in given.items() if value)

    def conflicts_with(self, method: str) -> Iterator[Conflict]:
        """Yield what a response to a request of this method cannot have."""
        if method == "HEAD":
            for key in self.body_checks:
                yield Conflict((key,), "a response to HEAD has no body")


def _codes(entry: int | str) -> tuple[int, ...]:
    if isinstance(entry, int):
        return (entry,)
    first = 100 * int(entry[0])
    return tuple(range(first, first + 100))
