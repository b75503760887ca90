"""Where a step of a scenario finds a value, and which of several it takes."""

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from runner.core.template import has_opening
from runner.experiment.base_model import conflict_if, invalid_value, refuse
from runner.experiment.expect import Pattern, ResponseHeader
from runner.experiment.extraction import Extraction
from runner.experiment.fields import Text
from runner.experiment.request import JsonValue
from runner.experiment.suggestions import display, harmless

_MAX_COOKIE_NAME: Final = 256


def _cookie_name(value: str) -> str:
    if not value.isascii() or not value.isprintable() or any(sign in value for sign in ' ",;=\\'):
        raise invalid_value(f"should be the name of a cookie, not {display(value)}")
    return value


CookieName: TypeAlias = Annotated[
    Text, AfterValidator(_cookie_name), Field(min_length=1, max_length=_MAX_COOKIE_NAME)
]


class Pick(StrEnum):
    """Which of several values a step extracts."""

    FIRST = "first"
    LAST = "last"
    RANDOM = "random"
    ALL = "all"


class StepExtraction(Extraction):
    """Where a value stands in the response to a step of a scenario."""

    KEYS: ClassVar[tuple[str, ...]] = ("json", "regex", "header", "cookie")

    regex: Pattern | None = Field(
        None,
        description="Regular expression (RE2) that matches in the body, or in the value of header or cookie; "
        "the value is its first group, or the whole match if it has no group. HTML entities such as &amp; in "
        "a body are decoded.",
        examples=['name="csrf" value="([^"]*)"'],
    )
    header: ResponseHeader | None = Field(
        None,
        description="Header whose value it is; of the last response when redirects were followed.",
        examples=["Location"],
    )
    cookie: CookieName | None = Field(
        None, description="Cookie of the user whose value it is, after this response.", examples=["session"]
    )
    pick: Literal[Pick.FIRST, Pick.LAST, Pick.RANDOM, Pick.ALL] | None = Field(
        None,
        description="Which value, where a JSONPath or an expression selects several: first (when absent), "
        "last, random (seeded), or all = the list of them, for for_each. With it, a path to one list means "
        "its entries; without it, the list.",
        examples=["random"],
    )
    optional: Annotated[bool, Field(strict=True)] | None = Field(
        None,
        description="Whether the value may be absent; otherwise the request fails then. A name without a "
        "value can be used within an `if` on it only.",
    )
    default: JsonValue = Field(
        None, description="Value to use when there is none in the response.", examples=["none"]
    )

    @property
    def _by_key(self) -> dict[str, str | None]:
        """The keys that say where it stands; a regex beside header or cookie is searched in its value."""
        inside = {"header": self.header, "cookie": self.cookie}
        searched = {} if any(inside.values()) else {"regex": self.regex}
        return {"json": self.json_path, **searched, **inside}

    @property
    def is_list(self) -> bool:
        """Whether it takes all values, as a list."""
        return self.pick is Pick.ALL

    @property
    def may_be_absent(self) -> bool:
        """Whether the name may have no value afterwards."""
        return bool(self.optional) and self.default is None

    @property
    def has_parts(self) -> bool:
        """Whether the value may be an object or a list, of which ``${name.key}`` is a part."""
        return self.json_path is not None or self.default is not None

    @model_validator(mode="before")
    @classmethod
    def _check_type(cls, value: Any) -> Any:
        if isinstance(value, str):
            key = "json" if value.startswith("$") else "header"
            message = f"should say where the value stands, not {display(value)}"
            raise invalid_value(message, f"write {{{key}: {harmless(value[:60])}}}")
        return value

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        single = next((key for key in ("header", "cookie") if self._by_key[key] is not None), "")
        single = "" if self.regex else single
        inserts = isinstance(self.default, str) and has_opening(self.default)
        listed: Any = self.default is None or isinstance(self.default, list | tuple)
        refuse(
            conflict_if(
                inserts, ("default",), "has no variables, but this contains ${", "write a fixed value"
            ),
            conflict_if(self.pick and single, ("pick",), f"has no meaning for {single}: it has one value"),
            conflict_if(
                self.optional and self.default is not None,
                ("optional",),
                "has no effect beside default: the value is never absent",
                "remove one of them",
            ),
            conflict_if(
                self.is_list and not listed, ("default",), "should be a list beside pick: all", "such as []"
            ),
        )
        return self
