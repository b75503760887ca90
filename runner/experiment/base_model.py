"""What every mapping of the specification has in common, and how a rule complains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationInfo
from pydantic_core import PydanticCustomError

WRITTEN: Final = {"written": True}
"""The validation context of values that a person wrote: there a time needs its unit."""


class Part(BaseModel):
    """A mapping in the specification: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def is_written(info: ValidationInfo) -> bool:
    """Whether the value comes from a file, and not from Python where seconds are floats."""
    return bool(info.context and info.context.get("written"))


@dataclass(frozen=True, slots=True)
class Conflict:
    """Fields that do not go together.

    Attributes:
        at: Keys from the model that complains down to the field to point at.
        message: What is wrong, without a trailing full stop.
        hint: What to do, or an empty string.
    """

    at: tuple[str | int, ...]
    message: str
    hint: str = ""


def complaint(message: str, hint: str = "") -> PydanticCustomError:
    """What a field's validator raises."""
    return PydanticCustomError("complaint", "{message}", {"message": message, "hint": hint})


def refuse(*conflicts: Conflict | None) -> None:
    """What a model's validator ends with: raises every conflict found, if any."""
    found = [conflict for conflict in conflicts if conflict]
    if found:
        message = "; ".join(conflict.message for conflict in found)
        raise PydanticCustomError("conflict", "{message}", {"message": message, "conflicts": found})
