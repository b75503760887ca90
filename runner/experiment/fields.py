"""Field types of the specification, other than times and sizes."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from runner.experiment.base_model import invalid_value
from runner.experiment.suggestions import display, slug
from runner.experiment.yaml.scalars import written

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?")
_PATH: Final = re.compile(r"/[!-\"$-~]{0,8191}")
_MAX_WORKERS: Final = 256
_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_HOST: Final = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?)(?::[0-9]{1,5})?"
_WORDS: Final = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_IMAGE: Final = re.compile(
    rf"(?:sha256:[0-9a-f]{{64}}|(?:{_HOST}/)?{_WORDS}(?:/{_WORDS})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?"
    r"(?:@sha256:[0-9a-f]{64})?)"
)
"""What Docker takes: ``[HOST[:PORT]/]NAME[:TAG][@DIGEST]``, or a full id."""


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        near = slug(value[:100])[:48].strip("-")
        hint = f"did you mean '{near}'?" if near and value.isascii() else ""
        message = "should be 1 to 48 of a-z, 0-9 and '-', without '-' at either end; it is"
        raise invalid_value(f"{message} {display(value)}", hint)
    return value


def _line(value: str) -> str:
    if not value.strip():
        raise invalid_value("should not be empty")
    if not value.isprintable():
        raise invalid_value("should be one line without control characters")
    return value


def _image(value: str) -> str:
    if not _IMAGE.fullmatch(value):
        hint = f"did you mean {display(lower)}?" if _IMAGE.fullmatch(lower := value.strip().lower()) else ""
        raise invalid_value(
            f"should be the name of an image, such as postgres:17, not {display(value)}", hint
        )
    return value


def _url_path(value: str) -> str:
    if not _PATH.fullmatch(value):
        hint = ""
        if not value.startswith("/"):
            hint = f"did you mean {display('/' + value)}?"
        elif not value.isascii() or " " in value:
            hint = "percent-encode spaces and non-ASCII characters, such as %20"
        message = "should begin with '/' and contain no space, '#' or control character; it is"
        raise invalid_value(f"{message} {display(value)}", hint)
    return value


def without_variables(value: str) -> str:
    """Return a text that is sent as it stands; variables have values only in requests."""
    if "${" in value:
        hint = "only texts of a request can contain variables; percent-encode a literal ${ as %24%7B"
        raise invalid_value(f"cannot contain a variable, here {display(value)}", hint)
    return value


def _env_name(value: str) -> str:
    if not _ENV_NAME.fullmatch(value):
        message = "should be an environment variable name of letters, digits and '_', not"
        raise invalid_value(f"{message} {display(value)}")
    return value


def file_path(value: str, example: str) -> str:
    """Return the path of a file, relative to the specification's folder or absolute; it need not exist."""
    if not value or "\0" in value or PurePosixPath(value) == PurePosixPath():
        message = f"should be the path of a file, such as {example}, not"
        raise invalid_value(f"{message} {display(value)}")
    return value


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise invalid_value("should not contain a NUL character")
    return value


def _as_written(value: object) -> object:
    value = written(value)
    if isinstance(value, str):
        return value
    hint = 'put it in quotes: "{port}"' if value == {"port": None} else ""
    raise invalid_value(f"should be text, not {display(value)}", hint)


def _auto_or_number(value: object) -> object:
    number = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MAX_WORKERS
    if number or value == "auto":
        return value
    raise invalid_value(f"should be auto or a whole number from 1 to {_MAX_WORKERS}, not {display(value)}")


def _pattern(pattern: re.Pattern[str]) -> Any:
    return Field(json_schema_extra={"pattern": f"^{pattern.pattern}$"})


def _single(value: object) -> object:
    if value is None or not isinstance(value, bool | int | float | str):
        raise invalid_value(f"should be a single value, not {display(value)}")
    return value


Text: TypeAlias = Annotated[str, Field(strict=True)]
Line: TypeAlias = Annotated[Text, AfterValidator(_line), Field(max_length=200)]
Image: TypeAlias = Annotated[Line, AfterValidator(_image)]
Name: TypeAlias = Annotated[Text, AfterValidator(_name), _pattern(_NAME)]
UrlPath: TypeAlias = Annotated[Text, AfterValidator(_url_path), _pattern(_PATH)]
FixedUrlPath: TypeAlias = Annotated[UrlPath, AfterValidator(without_variables)]
"""A path that is requested outside the load, where variables have no values."""
EnvName: TypeAlias = Annotated[Text, AfterValidator(_env_name)]

_SINGLE_VALUE: Final = WithJsonSchema({"type": ["string", "number", "boolean"]})
AsWritten: TypeAlias = Annotated[str, BeforeValidator(_as_written), AfterValidator(_no_nul), _SINGLE_VALUE]
"""Text; a number or boolean becomes the text that the file contains: ``1.10`` is ``"1.10"``."""

Single: TypeAlias = Annotated[Any, BeforeValidator(_single), _SINGLE_VALUE]
"""Text, a number or a boolean."""


_WORKERS: Final = {"type": "integer", "minimum": 1, "maximum": _MAX_WORKERS}
Workers: TypeAlias = Annotated[
    int | Literal["auto"],
    BeforeValidator(_auto_or_number),
    WithJsonSchema({"anyOf": [_WORKERS, {"const": "auto"}]}),
]

Whole: TypeAlias = Annotated[int, Field(strict=True)]
Processors: TypeAlias = Annotated[tuple[Annotated[Whole, Field(ge=0, le=4095)], ...], Field(max_length=256)]
Number: TypeAlias = Annotated[float, Field(strict=True, allow_inf_nan=False)]
