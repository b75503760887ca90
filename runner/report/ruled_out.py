"""Limits that were looked for and do not apply, each once for all stages that say so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from runner.core.codes import Limit
from runner.core.stage_results import Stage
from runner.report.markdown_text import EMPTY, Markdown, join, markdown
from runner.report.number_format import listed, plural

_NAMED = 3


@dataclass(frozen=True, slots=True)
class RuledOutLimit:
    """A limit that does not apply.

    Attributes:
        why: The number that says so, of the last of the stages.
        places: The stages that ruled it out.
        is_same: Whether all of them give the same reason.
    """

    code: Limit
    why: str
    places: tuple[str, ...]
    is_same: bool

    @property
    def where(self) -> str:
        """The stages, the first few by name."""
        return _named(self.places)


def ruled_out(stages: Iterable[tuple[str, Stage]]) -> list[RuledOutLimit]:
    """Return the limits that stages ruled out, in their order.

    Args:
        stages: Pairs of what a stage is called and the stage, the lowest rate first.
    """
    reasons: dict[Limit, list[tuple[str, str]]] = {}
    for place, stage in stages:
        for limit in stage.verdict.ruled_out or ():
            reasons.setdefault(limit.code, []).append((place, limit.why))
    return [
        RuledOutLimit(code, of[-1][1], tuple(place for place, _ in of), len({why for _, why in of}) == 1)
        for code, of in reasons.items()
    ]


def ruled_out_paragraph(stages: Sequence[tuple[str, Stage]]) -> Markdown:
    """Return all of them in one paragraph; empty without any."""
    limits = ruled_out(stages)
    if not limits:
        return EMPTY
    places = tuple(dict.fromkeys(place for limit in limits for place in limit.places))
    parts = [markdown("{} ({}{})", limit.code, limit.why, _only(limit, places)) for limit in limits]
    at = (
        ""
        if len(places) == 1 or all(limit.is_same for limit in limits)
        else f", with the figures of {places[-1]}"
    )
    return markdown("**Ruled out** at {}{}: {}.", _named(places), at, join("; ", parts))


def _only(limit: RuledOutLimit, places: Sequence[str]) -> str:
    """Return the stages of a limit that not all of them ruled out."""
    return "" if len(limit.places) == len(places) else f"; only at {limit.where}"


def _named(places: Sequence[str]) -> str:
    return listed(list(_first(places)))


def _first(places: Sequence[str]) -> Iterator[str]:
    yield from places[:_NAMED]
    if (more := len(places) - _NAMED) > 0:
        yield plural(more, "more stage")
