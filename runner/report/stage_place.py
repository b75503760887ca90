"""The names of what is compared: a stage, one request of it, or one slice of its ramp."""

from __future__ import annotations

from collections.abc import Iterable

from runner.core.comparison import LeftOut, PartPlace, StagePlace
from runner.report import number_format


def has_several(stages: Iterable[StagePlace]) -> bool:
    """Return whether stages belong to several configurations, so that each is named with its own."""
    return len({stage.configuration for stage in stages}) > 1


def place(stage: StagePlace | LeftOut, *, several: bool = True) -> str:
    """Return the name of a stage, after that of its configuration if there are several.

    That of a request, or the levels of a slice, follow it.
    """
    name = f"{stage.configuration}, {stage.stage}" if several else stage.stage
    part = (stage.request, levels_of(stage)) if isinstance(stage, PartPlace) else ()
    return ", ".join(filter(None, (name, *part)))


def levels_of(part: PartPlace, *, unit: bool = True) -> str:
    """Return the levels at both ends of a slice, such as "215 to 270 RPS"; empty if it is none."""
    if part.level is None:
        return ""
    words = f"{number_format.rate(part.level.begin)} to {number_format.rate(part.level.to)}"
    unit_word = "users" if part.users else "users/s" if part.user_rate else "RPS"
    return f"{words} {unit_word}" if unit else words


def level_heading(parts: Iterable[PartPlace]) -> str:
    """Return the heading of a column with the levels of slices."""
    one = next(iter(parts), None)
    if one is None:
        return "Target RPS"
    return "Users" if one.users else "Users/s" if one.user_rate else "Target RPS"
