"""Types of the specification's fields that are neither a time nor a size."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from runner.experiment.base_model import complaint
from runner.experiment.suggestions import shown
from runner.experiment.yaml.scalars import written

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?")
_PATH: Final = re.compile(r"/[!-\"$-~]{0,8191}")
_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        slug = re.sub(r"[^a-z0-9]+", "-", value[:100].lower()).strip("-")[:48].strip("-")
        hint = f"did you mean '{slug}'?" if slug and value.isascii() else ""
        raise complaint(f"should be 1 to 48 of a-z, 0-9 and inner '-', not {shown(value)}", hint)
    return value


def _line(value: str) -> str:
    if not value.strip():
        raise complaint("should not be empty")
    if not value.isprintable():
        raise complaint("should be one line without control characters")
    return value


def _url_path(value: str) -> str:
    if not _PATH.fullmatch(value):
        hint = ""
        if not value.startswith("/"):
            hint = f"did you mean {shown('/' + value)}?"
        elif not value.isascii() or " " in value:
            hint = "percent-encode spaces and letters beyond ASCII, such as %20"
        raise complaint(
            f"should begin with '/' and hold no space, '#' or control character, not {shown(value)}", hint
        )
    return value


def _env_name(value: str) -> str:
    if not _ENV_NAME.fullmatch(value):
        raise complaint(f"an environment variable's name has letters, digits and '_', not {shown(value)}")
    return value


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise complaint("should hold no NUL character")
    return value


def _as_written(value: object) -> object:
    value = written(value)
    if isinstance(value, str):
        return value
    hint = 'put it in quotes: "{port}"' if value == {"port": None} else ""
    raise complaint(f"should be text, not {shown(value)}", hint)


def _auto_or(most: int) -> Callable[[object], object]:
    def read(value: object) -> object:
        if value == "auto":
            return value
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most:
            return value
        raise complaint(f"should be auto or a whole number from 1 to {most}, not {shown(value)}")

    return read


def _pattern(pattern: re.Pattern[str]) -> Any:
    return Field(json_schema_extra={"pattern": f"^{pattern.pattern}$"})


def _single(value: object) -> object:
    if value is None or not isinstance(value, bool | int | float | str):
        raise complaint(f"should be a single value, not {shown(value)}")
    return value


Text: TypeAlias = Annotated[str, Field(strict=True)]
Line: TypeAlias = Annotated[Text, AfterValidator(_line), Field(max_length=200)]
Name: TypeAlias = Annotated[Text, AfterValidator(_name), _pattern(_NAME)]
UrlPath: TypeAlias = Annotated[Text, AfterValidator(_url_path), _pattern(_PATH)]
EnvName: TypeAlias = Annotated[Text, AfterValidator(_env_name)]

AsWritten: TypeAlias = Annotated[
    str,
    BeforeValidator(_as_written),
    AfterValidator(_no_nul),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]
"""Text, or a number or boolean taken as the text it was written as: ``1.10`` is ``"1.10"``."""

Single: TypeAlias = Annotated[
    Any, BeforeValidator(_single), WithJsonSchema({"type": ["string", "number", "boolean"]})
]
"""Text, a number or a boolean, as it was written."""


def _workers(most: int) -> Any:
    number = {"type": "integer", "minimum": 1, "maximum": most}
    return BeforeValidator(_auto_or(most)), WithJsonSchema({"anyOf": [number, {"const": "auto"}]})


_WORKERS: Final = _workers(256)
Workers: TypeAlias = Annotated[int | Literal["auto"], _WORKERS[0], _WORKERS[1]]

Whole: TypeAlias = Annotated[int, Field(strict=True)]
Processors: TypeAlias = Annotated[tuple[Annotated[Whole, Field(ge=0, le=4095)], ...], Field(max_length=256)]
Number: TypeAlias = Annotated[float, Field(strict=True, allow_inf_nan=False)]
