"""One HTTP request of a specification: its line, headers and body, each of which may contain variables."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema, model_validator

from runner.core.template import Position
from runner.experiment.base_model import (
    FILE_PROBLEM,
    Conflict,
    SpecModel,
    WhenUsed,
    conflict_if,
    invalid_value,
    refuse,
)
from runner.experiment.expect import Expect, header_name
from runner.experiment.fields import AsWritten, Name, Number, Text, UrlPath, Whole, file_path
from runner.experiment.suggestions import display, join_words

if TYPE_CHECKING:
    from runner.experiment.body_range import BodyRange

    _BodyRange: TypeAlias = BodyRange
else:
    _BodyRange = Annotated[Any, WhenUsed("runner.experiment.body_range", "BodyRange")]

MAX_REQUESTS: Final = 100
MAX_REDIRECTS: Final = 20
BODIES: Final = ("body", "body_file", "json", "form", "multipart")
"""The keys that give a request its body, of which it has at most one."""

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_HEADER_VALUE: Final = re.compile(r"[\t -~]{0,8192}")
_RESERVED_HEADERS: Final = {
    "connection": "load.connection determines it",
    "content-length": "the engine computes it from the body",
    "transfer-encoding": "the engine always sends Content-Length",
    "expect": "the engine sends the body immediately",
    "upgrade": "only HTTP/1.1 is supported",
}
_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(?:;[ -~]{0,200})?")
_MAX_DEPTH: Final = 100


class Slot(NamedTuple):
    """A text of a request in which `${` has a meaning.

    Attributes:
        at: Leads from the request down to the text.
        text: As in the file.
        position: Where it stands in the request.
        fixed: Whether it is a name, in which no variable can stand.
    """

    at: tuple[str | int, ...]
    text: str
    position: Position
    fixed: bool = False


def is_header_value(text: str) -> bool:
    """Return whether a text can be sent as the value of a header."""
    return _HEADER_VALUE.fullmatch(text) is not None and text == text.strip()


def _settable_header(name: str) -> str:
    if reason := _RESERVED_HEADERS.get(header_name(name).lower()):
        raise invalid_value(f"the header {name} cannot be set: {reason}")
    return name


def _header_value(value: str) -> str:
    if not is_header_value(value):
        raise invalid_value("should be printable ASCII on one line, without spaces at the beginning or end")
    return value


def _one_or_more(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _json_value(value: Any) -> Any:
    """Return a value that JSON can express."""
    _check_json(value, _MAX_DEPTH)
    return value


def _check_json(value: Any, depth: int) -> None:
    if depth == 0:
        raise invalid_value(f"should be nested less than {_MAX_DEPTH} levels deep")
    if isinstance(value, float) and not math.isfinite(value):
        raise invalid_value(f"should be a number that JSON can express, not {value}")
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            _check_json(item, depth - 1)


def _file_path(value: str, info: ValidationInfo) -> str:
    """Return the path of a file that can be sent, as far as that is known."""
    file_path(value, "data/body.bin")
    problem = info.context.get(FILE_PROBLEM) if info.context else None
    if problem and (message := problem(value)):
        raise invalid_value(message)
    return value


def _media_type(value: str) -> str:
    if not _MEDIA_TYPE.fullmatch(value):
        raise invalid_value(f"should be a media type such as image/png, not {display(value)}")
    return value


def _url_reference(value: str) -> str:
    if not value or not value.isascii() or not value.isprintable() or set(value) & set(' "<>\\^`'):
        hint = "percent-encode spaces and non-ASCII characters, such as %20"
        raise invalid_value(f"should be a URL, absolute or relative, not {display(value)}", hint)
    scheme = _SCHEME.match(value)
    if scheme and scheme[1].lower() not in {"http", "https"}:
        raise invalid_value(f"should begin with http:// or https://, not {display(scheme[0])}")
    return value


HeaderName: TypeAlias = Annotated[Text, AfterValidator(_settable_header)]
HeaderValue: TypeAlias = Annotated[AsWritten, AfterValidator(_header_value)]
FilePath: TypeAlias = Annotated[Text, AfterValidator(_file_path), Field(max_length=1000)]
MediaType: TypeAlias = Annotated[Text, AfterValidator(_media_type)]

_SINGLE: Final = {"type": ["string", "number", "boolean"]}
Values: TypeAlias = Annotated[
    tuple[AsWritten, ...],
    BeforeValidator(_one_or_more),
    WithJsonSchema({"anyOf": [_SINGLE, {"type": "array", "items": _SINGLE}]}),
]
"""One value, or several that are sent under the same name."""
_JSON_SCHEMA: Final = {"type": ["string", "number", "boolean", "object", "array", "null"]}
JsonValue: TypeAlias = Annotated[Any, BeforeValidator(_json_value), WithJsonSchema(_JSON_SCHEMA)]


UrlReference: TypeAlias = Annotated[Text, AfterValidator(_url_reference), Field(max_length=8192)]


class MultipartPart(SpecModel):
    """One part of a multipart body: a value, or a file."""

    name: Text = Field(min_length=1, max_length=200, description="Name of the field.", examples=["picture"])
    value: AsWritten | None = Field(None, description="The content as text.")
    file: FilePath | None = Field(
        None, description="File with the content, relative to the specification's folder; at most 64 MiB."
    )
    filename: Text | None = Field(
        None, max_length=200, description="File name to send; defaults to the name of `file`."
    )
    content_type: MediaType | None = Field(
        None, description="Media type; application/octet-stream for a file when absent."
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        both = self.value is not None and self.file is not None
        neither = self.value is None and self.file is None
        refuse(
            conflict_if(both, ("file",), "a part has either value or file, not both"),
            conflict_if(neither, (), "should have value or file"),
        )
        return self


class Request(SpecModel):
    """One HTTP request."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = Field(
        "GET", description="HTTP method."
    )
    path: UrlPath = Field("/", description="Path and query, percent-encoded.", examples=["/session"])
    query: dict[Text, Values] = Field(
        default_factory=dict,
        description="Parameters that are appended to the path, percent-encoded by the engine; a list repeats "
        "its parameter.",
        examples=[{"q": "blue shoes", "page": 2}],
    )
    headers: dict[HeaderName, HeaderValue] = Field(
        default_factory=dict,
        description="Headers of every request; Host can be set, headers for connection and framing cannot.",
    )
    body: Text | None = Field(None, description="Request body, sent as UTF-8 with Content-Length.")
    body_file: FilePath | None = Field(
        None,
        description="File that is sent as the body, byte for byte, relative to the specification's folder; "
        "at most 64 MiB.",
        examples=["data/body.bin"],
    )
    json_body: JsonValue = Field(
        None,
        alias="json",
        description="Any value, sent as JSON with Content-Type application/json.",
        examples=[{"sku": "a-1", "quantity": 2}],
    )
    form: dict[Text, Values] | None = Field(
        None,
        description="Fields of a form, sent as application/x-www-form-urlencoded.",
        examples=[{"user": "ada"}],
    )
    multipart: tuple[Annotated[MultipartPart, WhenUsed()], ...] | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="Parts of a form with files, sent as multipart/form-data.",
        examples=[[{"name": "picture", "file": "cat.png", "content_type": "image/png"}]],
    )

    @property
    def bodies(self) -> tuple[str, ...]:
        """The keys that give it a body."""
        given = (self.body, self.body_file, self.json_body, self.form, self.multipart)
        return tuple(key for key, value in zip(BODIES, given, strict=True) if value is not None)

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of the files that it sends."""
        paths = [self.body_file, *(part.file for part in self.multipart or ())]
        return tuple(path for path in paths if path is not None)

    def slots(self) -> Iterator[Slot]:
        """Yield every text that may contain variables, and the names beside them."""
        yield Slot(("path",), self.path, Position.PATH)
        yield from _of_fields("query", self.query, Position.QUERY)
        for name, value in self.headers.items():
            yield Slot(("headers", name), value, Position.HEADER)
        if self.body is not None:
            yield Slot(("body",), self.body, Position.BODY)
        yield from _of_json(("json",), self.json_body)
        yield from _of_fields("form", self.form or {}, Position.FORM)
        for index, part in enumerate(self.multipart or ()):
            yield from _of_part(("multipart", index), part)

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        refuse(*self._duplicate_headers(), *self._second_body())
        return self

    def _duplicate_headers(self) -> Iterator[Conflict | None]:
        seen: dict[str, str] = {}
        for name in self.headers:
            first = seen.setdefault(name.lower(), name)
            message = f"duplicates {first}; header names are case-insensitive"
            yield conflict_if(first != name, ("headers", name), message)

    def _second_body(self) -> Iterator[Conflict]:
        first, *others = self.bodies or ("",)
        for key in others:
            hint = f"keep one of {join_words(BODIES, 'and')}"
            yield Conflict((key,), f"cannot be combined with {first}: a request has one body", hint)


class StepKeys(Request):
    """The keys of a request that belongs to a scenario, beside those of every request."""

    name: Name = Field(
        description="Name, unique in its scenario; results are shown under it.", examples=["login"]
    )
    expect: Annotated[Expect, WhenUsed()] | None = Field(
        None, description="Criteria for its successful responses; load.expect when absent."
    )
    follow_redirects: Annotated[Whole, Field(ge=0, le=MAX_REDIRECTS)] | None = Field(
        None,
        description="How many redirects to follow, only in scenarios; load.follow_redirects when absent.",
    )
    url: UrlReference | None = Field(
        None,
        description="URL to send it to instead of `path`, only in scenarios, such as one that a response "
        "contained; inserted as it is, and relative to the URL of the user's last response.",
        examples=["${next}"],
    )
    body_range: _BodyRange | None = Field(
        None,
        description="Which part of body_file to send, only in scenarios.",
        examples=[{"from": "${offset}", "bytes": "64KiB"}],
    )

    def unused_keys(self) -> frozenset[str]:
        """Return the path if it has a URL instead."""
        return frozenset() if self.url is None else frozenset({"path"})

    def slots(self) -> Iterator[Slot]:
        """Yield every text that may contain variables, and the names beside them."""
        path = () if self.url is None else (Slot(("url",), self.url, Position.URL),)
        yield from (*path, *(slot for slot in super().slots() if self.url is None or slot.at != ("path",)))
        if self.body_range is not None:
            yield Slot(("body_range", "from"), str(self.body_range.begin), Position.BODY)

    @model_validator(mode="after")
    def _check_keys_of_steps(self) -> Self:
        both = self.url is not None and self.path != "/"
        hint = "keep the one that says where the request goes"
        alone = self.body_range is not None and self.body_file is None
        refuse(
            conflict_if(both, ("url",), "cannot be combined with path", hint),
            conflict_if(alone, ("body_range",), "requires body_file"),
        )
        return self


class NamedRequest(StepKeys):
    """One request of a mix, or one that steps of scenarios refer to by its name."""

    name: Name = Field(description="Unique name; results are shown under it.", examples=["search"])
    weight: Annotated[Number, Field(gt=0, le=1_000_000)] = Field(
        1, description="Its share of the requests, in proportion to the other weights; only in a mix."
    )

    @property
    def criteria(self) -> Expect:
        """Its criteria; complete in `Load.parts`."""
        return self.expect or Expect()

    @property
    def keys_of_scenarios(self) -> tuple[str, ...]:
        """The keys that it has and only scenarios use."""
        return tuple(
            key for key in ("follow_redirects", "url", "body_range") if getattr(self, key) is not None
        )


def _of_fields(key: str, fields: Mapping[str, tuple[str, ...]], position: Position) -> Iterator[Slot]:
    for name, values in fields.items():
        yield Slot((key, name), name, position, fixed=True)
        for index, value in enumerate(values):
            at = (key, name, index) if len(values) > 1 else (key, name)
            yield Slot(at, value, position)


def _of_json(at: tuple[str | int, ...], value: Any) -> Iterator[Slot]:
    match value:
        case str():
            yield Slot(at, value, Position.JSON)
        case Mapping():
            for key, item in value.items():
                yield Slot((*at, key), key, Position.JSON, fixed=True)
                yield from _of_json((*at, key), item)
        case list() | tuple():
            for index, item in enumerate(value):
                yield from _of_json((*at, index), item)


def _of_part(at: tuple[str | int, ...], part: MultipartPart) -> Iterator[Slot]:
    yield Slot((*at, "name"), part.name, Position.MULTIPART, fixed=True)
    yield Slot((*at, "filename"), part.filename or "", Position.MULTIPART, fixed=True)
    yield Slot((*at, "value"), part.value or "", Position.MULTIPART)
