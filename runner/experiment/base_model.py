"""The base class of every model in the specification, and how validators report problems."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationInfo
from pydantic_core import PydanticCustomError

FROM_FILE: Final = {"from_file": True}
"""The validation context of values from a file, where a time needs a unit."""

INVALID_VALUE: Final = "invalid_value"
CONFLICT: Final = "conflict"


def _ignore_plugins() -> None:
    """Let pydantic not search all installed packages for plugins, which takes a tenth of the time to start.

    A plugin could also change which specifications are valid.
    """
    loader = ModuleType("pydantic.plugin._loader")
    vars(loader)["get_plugins"] = tuple
    sys.modules.setdefault(loader.__name__, loader)


_ignore_plugins()


class SpecModel(BaseModel):
    """A mapping in the specification: frozen, and unknown keys are refused.

    For the program to start fast, only the outermost model is built; the others are part of it. Modules with
    models do without ``from __future__ import annotations``, or pydantic would compile each annotation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def is_from_file(info: ValidationInfo) -> bool:
    """Return whether the value comes from a file, not from Python, where seconds are floats."""
    return bool(info.context and info.context.get("from_file"))


class Conflict(NamedTuple):
    """Fields that cannot be combined; `at` leads from the reporting model down to the field to point at."""

    at: tuple[str | int, ...]
    message: str
    hint: str = ""


def conflict_if(wrong: object, at: tuple[str | int, ...], message: str, hint: str = "") -> Conflict | None:
    """Return the conflict if something is wrong."""
    return Conflict(at, message, hint) if wrong else None


def invalid_value(message: str, hint: str = "") -> PydanticCustomError:
    """Return the error that a field's validator raises."""
    return PydanticCustomError(INVALID_VALUE, "{message}", {"message": message, "hint": hint})


def refuse(*conflicts: Conflict | None) -> None:
    """Raise all conflicts of a model as one error, if there are any."""
    present = [conflict for conflict in conflicts if conflict]
    if present:
        message = "; ".join(conflict.message for conflict in present)
        raise PydanticCustomError(CONFLICT, "{message}", {"message": message, "conflicts": present})
