"""Where a value stands in a response, for what follows to insert it with ``${name}``."""

from typing import ClassVar, Self

from pydantic import Field, model_validator

from runner.experiment.base_model import SparseModel, conflict_if, refuse
from runner.experiment.expect import JsonPath, Pattern, ResponseHeader
from runner.experiment.suggestions import join_words


class Extraction(SparseModel):
    """Where a value stands in a response."""

    KEYS: ClassVar[tuple[str, ...]] = ("json", "regex", "header")

    json_path: JsonPath | None = Field(
        None, alias="json", description="JSONPath to it in the body.", examples=["$.id"]
    )
    regex: Pattern | None = Field(
        None,
        description="Regular expression (RE2) that matches in the body; the value is its first group, or the "
        "whole match if it has no group.",
        examples=['name="csrf" value="([^"]*)"'],
    )
    header: ResponseHeader | None = Field(
        None, description="Header whose value it is.", examples=["Location"]
    )

    @property
    def _by_key(self) -> dict[str, str | None]:
        """The keys that say where it stands, with their values."""
        return {"json": self.json_path, "regex": self.regex, "header": self.header}

    @property
    def source(self) -> str:
        """The key that says where it stands, with its value: ``json $.id``."""
        return next(f"{key} {value}" for key, value in self._by_key.items() if value is not None)

    @property
    def needs_body(self) -> bool:
        """Whether it stands in the body of the response."""
        return self._by_key.get("json") is not None or self._by_key.get("regex") is not None

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        given = [value for value in self._by_key.values() if value is not None]
        message = f"should have exactly one of {join_words(type(self).KEYS, 'and')}"
        refuse(conflict_if(len(given) != 1, (), message, "such as {json: $.id}"))
        return self
