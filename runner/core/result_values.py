"""Numbers and texts of results.json with their bounds."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta

Number: TypeAlias = Annotated[float, Meta(ge=-1e15, le=1e15)]
"""A finite number; larger ones are no measurement."""
Count: TypeAlias = Annotated[int, Meta(ge=0, le=1_000_000_000_000_000)]
"""A whole number of things."""
Word: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$(?!\n)")]
"""An identifier without markup."""
PartName: TypeAlias = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}(?:/[A-Za-z0-9][A-Za-z0-9_.-]{0,99})?$(?!\n)")
]
"""Name of a request or of a scenario, or of a step of a scenario after its name: ``checkout/login``."""
Unit: TypeAlias = Annotated[str, Meta(pattern=r"^[^\\`*_{}\[\]<>#|~@\x00-\x1f]{0,40}$(?!\n)")]
"""A short text without markup, such as ``requests``."""
Text: TypeAlias = Annotated[str, Meta(max_length=100_000)]
"""Free text; anything may be in it."""
Sentence: TypeAlias = Annotated[str, Meta(max_length=100_000, extra={"prose": True})]
"""Free text that a version words from codes and numbers; another version may word it otherwise."""
Role: TypeAlias = Word
"""Whose resource it is: a value of `runner.core.codes.Role`, or the name of a service."""
EnvironmentValue: TypeAlias = Annotated[str, Meta(max_length=1000)] | bool | Number | Count | None
