"""Finds problems behind problems: what a check of several keys says once wrong values are out of the way.

pydantic checks how keys fit together only if each of them is valid, so a misspelt time would hide an unknown
request in a threshold. Wrong values are replaced by valid ones, and what is then found elsewhere is reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final, TypeAlias

from pydantic import ValidationError

from runner.experiment.base_model import CONFLICT
from runner.experiment.model import Experiment
from runner.experiment.validation_errors import follows_from_another, model_at

Location: TypeAlias = tuple[str | int, ...]
_Errors: TypeAlias = Sequence[Mapping[str, Any]]

_ROUNDS: Final = 4
_A_THRESHOLD: Final = "achieved >= 1%"
_INDEPENDENT: Final = frozenset({"thresholds", "until", "name", "request", "requests", "scenarios"})
"""Keys whose conflicts do not depend on values elsewhere that may have been replaced."""
_RATES: Final = ("rps", "users_per_s")
_A_RATE: Final = 7919
"""Unlikely to be the rate of another stage, so that no stage gets the same name."""


def hidden_conflicts(data: Any, errors: _Errors, context: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield further errors of the kind `CONFLICT`, none of which comes from a replaced value.

    Args:
        data: The merged document; it is not changed.
        errors: Those that were found in it.
        context: Of the validation.
    """
    data, replaced = deepcopy(data), set[Location]()
    for _ in range(_ROUNDS):
        wrong = {place for error in errors for place in _places(error, data)}
        if not all(_replace(data, path) for path in wrong):
            return
        replaced |= wrong
        try:
            Experiment.model_validate(data, context=dict(context))
        except ValidationError as invalid:
            errors = invalid.errors(include_url=False)
        else:
            return
        errors = [error for error in errors if not follows_from_another(error)]
        if any(error["type"] != CONFLICT for error in errors):
            return  # a replacement does not fit
        for error in errors:
            conflicts = [one for one in error["ctx"]["conflicts"] if _is_own(error, one.at, data, replaced)]
            if conflicts:
                yield {**error, "ctx": {"conflicts": conflicts}}


def _places(error: Mapping[str, Any], data: Any) -> Iterator[Location]:
    """Yield the paths of what an error is about; that of a missing key ends in this key."""
    if follows_from_another(error):
        return
    location = tuple(error["loc"])
    if error["type"] == CONFLICT:
        yield from (_path(data, (*location, *conflict.at)) for conflict in error["ctx"]["conflicts"])
    elif error["type"] == "missing":
        yield (*_path(data, location[:-1]), location[-1])
    else:
        yield _path(data, location)


def _is_own(error: Mapping[str, Any], at: Location, data: Any, replaced: set[Location]) -> bool:
    """Return whether a conflict is about the file: neither at a replaced value nor about what uses one."""
    path = _path(data, (*error["loc"], *at))
    if "variables" in path or not (_INDEPENDENT & set(path)):  # what is used depends on what was replaced
        return False
    if {"request", "requests"} & set(path) and any("variables" in other for other in replaced):
        return False
    if {"scenarios", "thresholds"} & set(path) and any("scenarios" in other for other in replaced):
        return False  # what a step extracts and what it is called may have been replaced
    if "scenarios" in path and any({"requests", "variables"} & set(other) for other in replaced):
        return False
    return not any(_touches(path, other) for other in replaced)


def _touches(path: Location, other: Location) -> bool:
    """Return whether one path is inside the other, or both are keys of the same mapping."""
    siblings = bool(path) and path[:-1] == other[:-1] and isinstance(path[-1], str)
    return siblings or path[: len(other)] == other or other[: len(path)] == path


def _path(data: Any, location: Location) -> Location:
    """Return a location without the tags that pydantic puts into it."""
    path: list[str | int] = []
    for step in location:
        inside = (isinstance(data, dict) and step in data) or (
            isinstance(data, list) and isinstance(step, int) and step < len(data)
        )
        if inside:
            path.append(step)
            data = data[step]
    return tuple(path)


def _replace(data: Any, path: Location) -> bool:
    """Make the value at a path valid, and return whether that is possible."""
    *above, key = path or ("",)
    if _path(data, tuple(above)) != tuple(above):
        return True  # removed with a mapping around it
    parent = data
    for step in above:
        parent = parent[step]
    if isinstance(parent, list) and isinstance(key, int):
        if above[-1:] not in (["thresholds"], ["until"]):
            return False
        parent[key] = _A_THRESHOLD
        return True
    if not isinstance(parent, dict) or not isinstance(key, str):
        return False
    model = model_at(above)
    field = model.model_fields.get(model.fields_by_key().get(key, key)) if model else None
    if key in _RATES and len({*_RATES, "users"} & parent.keys()) == 1:
        parent[key] = _A_RATE + sum(step for step in above if isinstance(step, int))
    elif field is not None and field.is_required():
        if not field.examples or key == "name":
            return False
        parent[key] = deepcopy(field.examples[0])
    else:
        parent.pop(key, None)
    return True
