"""Compares results.json with what the data give, as JSON trees, key by key.

A number that does not follow from the data is wrong, whichever version wrote it. A verdict or a sentence may
differ because the rules have changed since: the types of results tell which is which.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias

from msgspec import inspect

from runner.core.codes import Limit, Validity
from runner.core.definitions import Redefinition
from runner.core.judgements import StageValidity
from runner.core.repeat_results import CrossCheck, Knee, Repeats
from runner.core.results import Hypothesis, Results
from runner.core.scaling_results import Scaling
from runner.core.stage_results import Verdict

_MAX_VALUE: Final = 60
_CONTEXT: Final = 12
_CONCLUSIONS: Final = (
    Verdict, Limit, StageValidity, Validity, Hypothesis, Repeats, CrossCheck, Scaling, Knee,
)  # fmt: skip
"""Types of results that are a version's conclusions, as opposed to measurements; so is every `Sentence`."""

Place: TypeAlias = tuple[str | int, ...]
"""Keys and indices from the top of a JSON document."""


class Difference(NamedTuple):
    """Something that does not follow from the data.

    Attributes:
        kind: What differs, without indices; differences of one kind are summarized.
        sentence: What differs, where and how.
        explained: Whether other rules or another version can explain it.
        redefined: Whether it is in a number that means something else since the archive was made.
    """

    kind: str
    sentence: str
    explained: bool = True
    redefined: bool = False


def summarized(differences: Iterable[Difference], limit: int) -> tuple[str, ...]:
    """Return one line per kind, with the first of its differences and the number of the others."""
    kinds: dict[str, list[str]] = {}
    for difference in differences:
        kinds.setdefault(difference.kind, []).append(difference.sentence)
    lines = [
        first + (f" (and {len(others)} more of this kind)" if others else "")
        for first, *others in kinds.values()
    ]
    more = len(lines) - limit
    return (*lines[:limit], *([f"... and {more} more kinds of difference"] if more > 0 else []))


def tree_differences(
    file: str, stored: Any, expected: Any, redefined: Iterable[Redefinition] = ()
) -> Iterator[Difference]:
    """Yield every place where two JSON trees differ; what only one of them has is explained.

    Args:
        file: Name of the file, for messages.
        stored: What it contains.
        expected: What the data give.
        redefined: What has another meaning in the file than in the data.
    """
    changed = frozenset[str | int]().union(*(change.keys for change in redefined))
    for place, words, both_have_it in _differences(stored, expected, ()):
        kind = _shown(tuple("" if isinstance(step, int) else step for step in place))
        inside = not changed.isdisjoint(place)
        explained = inside or not both_have_it or is_conclusion(place)
        yield Difference(f"{file}: {kind}", f"{file}: {_shown(place)} {words}", explained, inside)


def _differences(stored: Any, expected: Any, place: Place) -> Iterator[tuple[Place, str, bool]]:
    """Yield the places, what differs there, and whether both have the key."""
    if isinstance(stored, dict) and isinstance(expected, dict):
        for key in dict.fromkeys([*stored, *expected]):
            inner = (*place, key)
            if key not in expected:
                yield inner, f"is {_short(stored[key])}, which does not follow from the data", False
            elif key not in stored:
                yield inner, f"is missing; the data give {_short(expected[key])}", False
            else:
                yield from _differences(stored[key], expected[key], inner)
    elif isinstance(stored, list) and isinstance(expected, list) and len(stored) == len(expected):
        for at, (one, other) in enumerate(zip(stored, expected, strict=True)):
            yield from _differences(one, other, (*place, at))
    elif type(stored) is not type(expected) or stored != expected:
        yield place, "is {}, but the data give {}".format(*_shortened(stored, expected)), True


def _shown(place: Place) -> str:
    """Return a place as ``configurations[0].stages[1].name``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).lstrip(".")


def _shortened(stored: Any, expected: Any) -> tuple[str, str]:
    """Return both values; of long texts that begin alike, the parts that differ."""
    if isinstance(stored, str) and isinstance(expected, str):
        pairs = enumerate(zip(stored, expected, strict=False))
        same = next((at for at, (one, other) in pairs if one != other), min(len(stored), len(expected)))
        if same > _MAX_VALUE // 2:
            stored, expected = (f"...{text[same - _CONTEXT :]}" for text in (stored, expected))
    return _short(stored), _short(expected)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_VALUE else text[: _MAX_VALUE - 3] + "..."


def is_conclusion(place: Place) -> bool:
    """Whether a place in results.json is inside a conclusion."""
    steps = tuple(0 if isinstance(step, int) else step for step in place)
    return any(steps[: len(start)] == start for start in _conclusions())


@cache
def _conclusions() -> frozenset[Place]:
    """Return where conclusions begin in results.json, with 0 for any index; taken from the types."""
    return frozenset(_inside(inspect.type_info(Results), ()))


def _inside(kind: inspect.Type, place: Place) -> Iterator[Place]:
    match kind:
        case inspect.StructType(cls=cls) | inspect.EnumType(cls=cls) if cls in _CONCLUSIONS:
            yield place
        case inspect.Metadata(extra=extra) if extra and extra.get("prose"):
            yield place
        case inspect.Metadata(type=inner):
            yield from _inside(inner, place)
        case inspect.UnionType(types=types):
            for inner in types:
                yield from _inside(inner, place)
        case inspect.VarTupleType(item_type=inner):
            starts = {*_inside(inner, (*place, 0))}
            yield from [place] if starts == {(*place, 0)} else starts  # so is how many sentences there are
        case inspect.StructType(fields=fields):
            for field in fields:
                yield from _inside(field.type, (*place, field.encode_name))
