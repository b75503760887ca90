"""One variable of a load: where its values come from."""

import string
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    WithJsonSchema,
    model_validator,
)

from runner.core.draws import MAX_ALPHABET
from runner.experiment.base_model import Conflict, SparseModel, SpecModel, conflict_if, invalid_value, refuse
from runner.experiment.fields import AsWritten, EnvName, Number, Text, Whole, file_path
from runner.experiment.suggestions import display, join_words

SOURCES: Final = (
    "csv", "jsonl", "command", "int", "float", "choice", "string", "uuid", "counter", "timestamp", "env"
)  # fmt: skip
"""The keys that say where values come from; a variable has exactly one."""

DECIMALS: Final = 6
"""Values of `float` are whole multiples of 10 to the minus this."""

_LARGEST: Final = 2**53 - 1
"""Every program reads whole numbers up to this exactly as JSON."""
_LARGEST_FLOAT: Final = 10**9
_MAX_CHOICES: Final = 10_000
_MAX_CHOICE: Final = 8192
_MAX_LENGTH: Final = 4096
_BOUNDS: Final = 2


def _data_path(value: str) -> str:
    return file_path(value, "data/products.csv")


def _in_order(value: tuple[float, ...]) -> tuple[float, ...]:
    if len(value) != _BOUNDS:
        raise invalid_value(
            f"should be the lowest and the highest value, such as [1, 5], not {len(value)} values"
        )
    if value[0] > value[1]:
        raise invalid_value(f"should begin with the lower bound, not {display(value[0])}")
    return value


def _decimal_places(value: tuple[float, ...]) -> tuple[float, ...]:
    for bound in value:
        if round(bound, DECIMALS) != bound:
            raise invalid_value(f"should have at most {DECIMALS} decimal places, not {display(bound)}")
    return value


def _choices(value: Any) -> Any:
    """Return the values, or the weights by value, as a file has them."""
    if isinstance(value, Mapping):
        for name, weight in value.items():
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= 1_000_000:
                raise invalid_value(
                    f"the weight of {display(name)} should be more than 0 and at most 1,000,000, "
                    f"not {display(weight)}"
                )
        return _counted({str(name): weight for name, weight in value.items()})
    if not isinstance(value, list | tuple):
        hint = "write [a, b], or {a: 3, b: 1} with weights"
        raise invalid_value(
            f"should be a list of values or a map from values to weights, not {display(value)}", hint
        )
    if any(isinstance(item, list | tuple | Mapping) for item in value):
        raise invalid_value("should be a list of single values")
    return _counted(tuple(value))


def _counted(value: Any) -> Any:
    if not value:
        raise invalid_value("should not be empty")
    if len(value) > _MAX_CHOICES:
        raise invalid_value(f"should have at most {_MAX_CHOICES:,} values; put them into a file, with csv")
    if any(isinstance(item, str) and len(item) > _MAX_CHOICE for item in value):
        raise invalid_value(f"should have values of at most {_MAX_CHOICE:,} characters")
    return value


def _alphabet(value: str) -> str:
    if not value.isprintable():
        raise invalid_value("should have printable characters only")
    if len(set(value)) < len(value):
        twice = next(sign for sign in value if value.count(sign) > 1)
        raise invalid_value(f"contains {display(twice)} more than once")
    return value


def _delimiter(value: str) -> str:
    if len(value) != 1 or not value.isascii() or value in '"\r\n\0':
        raise invalid_value(f"should be a single character such as ';' or \"\\t\", not {display(value)}")
    return value


_CHOICE_SCHEMA: Final = {
    "anyOf": [
        {"type": "array", "items": {"type": ["string", "number", "boolean", "null"]}, "minItems": 1},
        {
            "type": "object",
            "additionalProperties": {"type": "number", "exclusiveMinimum": 0},
            "minProperties": 1,
        },
    ]
}
DataPath: TypeAlias = Annotated[Text, AfterValidator(_data_path), Field(max_length=1000)]
Choices: TypeAlias = Annotated[Any, BeforeValidator(_choices), WithJsonSchema(_CHOICE_SCHEMA)]
Order: TypeAlias = Literal["sequential", "random", "once"]
Format: TypeAlias = Literal["csv", "jsonl", "lines"]
_WholeBound: TypeAlias = Annotated[Whole, Field(ge=-_LARGEST, le=_LARGEST)]
_FloatBound: TypeAlias = Annotated[Number, Field(ge=-_LARGEST_FLOAT, le=_LARGEST_FLOAT)]


class RandomText(SpecModel):
    """Random text of one length."""

    length: Annotated[Whole, Field(ge=1, le=_MAX_LENGTH)] = Field(
        description="Number of characters.", examples=[12]
    )
    alphabet: Annotated[Text, AfterValidator(_alphabet)] = Field(
        string.ascii_lowercase + string.digits,
        min_length=1,
        max_length=MAX_ALPHABET,
        description="The characters to choose from, each once.",
    )


class Counter(SpecModel):
    """A number that grows by the same step with each arrival."""

    start: _WholeBound = Field(1, description="The first value.")
    step: Annotated[Whole, Field(ge=-1_000_000, le=1_000_000)] = Field(
        1, description="Difference between the values of two arrivals."
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        refuse(conflict_if(self.step == 0, ("step",), "should not be 0: every value would be the same"))
        return self


class Variable(SparseModel):
    """Where the values of a variable come from: exactly one source."""

    csv: DataPath | None = Field(
        None,
        description="File of rows with a header row, relative to the specification's folder; ${name.column} "
        "inserts a column.",
        examples=["data/products.csv"],
    )
    jsonl: DataPath | None = Field(
        None,
        description="File with one JSON value per line; ${name} inserts it, ${name.key.key} a part of it.",
        examples=["data/events.jsonl"],
    )
    command: tuple[AsWritten, ...] | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Program and arguments, run once without a shell in the specification's folder when the "
        "run starts; the rows are what it prints.",
        examples=[["./make-rows", "1000"]],
    )
    format: Format | None = Field(
        None,
        description="What a command prints: csv, jsonl, or lines of text (when absent).",
        examples=["jsonl"],
    )
    delimiter: Annotated[Text, AfterValidator(_delimiter)] | None = Field(
        None, description="What separates the columns of csv; a comma when absent.", examples=[";"]
    )
    order: Order | None = Field(
        None,
        description="sequential (when absent) = one row after another, and from the beginning after the "
        "last; random = any row each time; once = sequential, and no row is sent twice.",
    )
    int_range: Annotated[tuple[_WholeBound, ...], AfterValidator(_in_order)] | None = Field(
        None, alias="int", description="Random whole number between two bounds, inclusive.", examples=[[1, 5]]
    )
    float_range: (
        Annotated[tuple[_FloatBound, ...], AfterValidator(_in_order), AfterValidator(_decimal_places)] | None
    ) = Field(
        None,
        alias="float",
        description="Random number between two bounds, inclusive, with 6 decimal places.",
        examples=[[0.5, 1.5]],
    )
    choice: Choices = Field(
        None,
        description="Random one of several values, or of the keys of a map from value to weight.",
        examples=[{"free": 9, "paid": 1}],
    )
    string: RandomText | None = Field(None, description="Random text.", examples=[{"length": 12}])
    uuid: Literal["v4"] | None = Field(None, description="Random UUID.")
    counter: Counter | None = Field(
        None, description="Number that grows with each arrival.", examples=[{"start": 1000}]
    )
    timestamp: Literal["s", "ms", "iso"] | None = Field(
        None,
        description="Time at which the request is sent: seconds or milliseconds since 1970, or ISO 8601 "
        "in UTC.",
    )
    scope: Literal["user", "request"] | None = Field(
        None,
        description="user (when absent) = each user of a scenario has one value; request = each request of a "
        "scenario gets a new one. Only with scenarios.",
        examples=["request"],
    )
    env: EnvName | None = Field(
        None,
        description="Environment variable with the value, a secret: it is read when the run starts, masked "
        "in every output, and in no file.",
        examples=["API_TOKEN"],
    )
    default: Annotated[Text, Field(min_length=1, max_length=_MAX_CHOICE)] | None = Field(
        None,
        description="Value for tests, no secret, when the environment variable of `env` is not set.",
        examples=["demo"],
    )

    @property
    def sources(self) -> tuple[str, ...]:
        """The keys that say where its values come from; exactly one in a valid variable."""
        by_key = self.fields_by_key()
        return tuple(key for key in SOURCES if getattr(self, by_key[key]) is not None)

    @property
    def source(self) -> str:
        """The key that says where its values come from."""
        return self.sources[0]

    @property
    def is_secret(self) -> bool:
        """Whether its value is stored nowhere."""
        return self.env is not None

    @property
    def is_per_request(self) -> bool:
        """Whether each request of a scenario gets another value, not each user."""
        return self.scope == "request"

    @property
    def row_format(self) -> Format | None:
        """How its rows are written; None if it has none."""
        if self.csv is not None:
            return "csv"
        if self.jsonl is not None:
            return "jsonl"
        return (self.format or "lines") if self.command else None

    @property
    def path(self) -> str | None:
        """The file with its rows, as in the specification."""
        return self.csv if self.csv is not None else self.jsonl

    @property
    def needs_each_row_once(self) -> bool:
        """Whether no row may be sent twice."""
        return self.order == "once"

    @property
    def is_counted(self) -> bool:
        """Whether its value depends on how many arrivals before used it."""
        return self.row_format is not None and self.order != "random"

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        refuse(*self._conflicts())
        return self

    def _conflicts(self) -> Any:
        first, *others = self.sources or ("",)
        if not first:
            example = "such as {env: NAME}, {csv: data/rows.csv} or {int: [1, 5]}"
            yield Conflict((), f"should have one of {join_words(SOURCES)}", example)
            return
        for key in others:
            yield Conflict((key,), f"cannot be combined with {first}: a variable has one source")
        yield conflict_if(
            self.order and not self.row_format,
            ("order",),
            f"has no meaning for {first}: only rows have an order",
        )
        ordered = self.counter is not None or self.is_counted
        message = f"cannot be request for {first}: a user's place in the order is known, a request's is not"
        hint = "remove it, or use order: random" if self.row_format else "remove it, or use uuid or int"
        yield conflict_if(self.is_per_request and ordered, ("scope",), message, hint)
        secret = self.scope and self.is_secret
        yield conflict_if(secret, ("scope",), "has no meaning for env: its value is always the same")
        message = "has no meaning without command: the key says what the file contains"
        yield conflict_if(self.format and not self.command, ("format",), message)
        yield conflict_if(self.default and not self.env, ("default",), "has no meaning without env")
        message = "has no meaning without csv"
        yield conflict_if(self.delimiter and self.row_format != "csv", ("delimiter",), message)
