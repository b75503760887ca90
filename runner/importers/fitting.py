"""Keeps a draft within the limits of a specification: requests that it cannot express are left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from pydantic import ValidationError

from runner.core.template import names
from runner.experiment.base_model import FROM_FILE
from runner.experiment.request import MAX_REQUESTS
from runner.experiment.scenario import MAX_STEPS, StepRequest
from runner.experiment.traffic import MAX_SCENARIOS
from runner.importers.draft import Draft, PauseDraft, RequestDraft, ScenarioDraft, StepDraft, requests_of
from runner.importers.request_text import as_data, texts_of

_MAX_NODES: Final = 4_000
"""How many values the requests may have, with room for the rest of a specification."""
_MAX_BYTES: Final = 800_000
_MAX_BODY: Final = 100_000


def problem_of(request: RequestDraft) -> str:
    """Return why a specification cannot have a request, without a full stop; empty if it can."""
    data = as_data(request, in_mix=False)["request"]
    if _size(data) > _MAX_BODY:
        return "it is larger than 100 kB"
    try:
        StepRequest.model_validate(data, context=FROM_FILE)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=True)[0]
        where = ".".join(str(key) for key in first["loc"] if not str(key).startswith("#"))
        return f"{where or 'it'} {first['msg']}"
    return ""


def fitted(draft: Draft) -> Draft:
    """Return a draft without the last requests of one that is too large, and without unused variables."""
    budget = _Budget()
    requests = tuple(budget.kept(draft.requests[:MAX_REQUESTS]))
    scenarios = tuple(
        replace(one, steps=tuple(_without_last_pauses(budget.kept(one.steps[:MAX_STEPS]))))
        for one in draft.scenarios[:MAX_SCENARIOS]
    )
    scenarios = tuple(one for one in scenarios if any(not isinstance(step, PauseDraft) for step in one.steps))
    before, after = _count(draft.requests, draft.scenarios), _count(requests, scenarios)
    left_out = draft.left_out
    if after < before:
        limits = f"{MAX_REQUESTS} requests of a mix, {MAX_STEPS} steps of a scenario and 1 MiB"
        last = f"the last {before - after:,} of {before:,} requests"
        left_out = (f"{last}: a specification has at most {limits}", *left_out)
    draft = replace(draft, requests=requests, scenarios=scenarios, left_out=left_out)
    used = _used(draft)
    variables = {key: one for key, one in draft.variables.items() if key in used}
    rows = {one.get("csv") for one in variables.values()}
    files = {file: one for file, one in draft.files.items() if file in rows}
    return replace(draft, variables=variables, files=files)


def _used(draft: Draft) -> set[str]:
    """Return the names that the requests insert."""
    steps = [*draft.requests, *(step for one in draft.scenarios for step in one.steps)]
    data = [_data(request) for step in steps for request in requests_of(step)]
    return {name for text in texts_of(data) for name in names(text)}


class _Budget:
    """How much of a specification's size is left."""

    def __init__(self) -> None:
        self._nodes, self._bytes = _MAX_NODES, _MAX_BYTES

    def kept(self, steps: Iterable[Any]) -> Iterator[Any]:
        """Yield steps until the budget is spent."""
        for step in steps:
            for data in map(_data, requests_of(step)):
                self._nodes -= _nodes(data)
                self._bytes -= _size(data)
            if self._nodes < 0 or self._bytes < 0:
                return
            yield step


def _data(request: RequestDraft) -> dict[str, Any]:
    return as_data(request, in_mix=False)


def _without_last_pauses(steps: Iterable[StepDraft]) -> list[StepDraft]:
    kept = list(steps)
    while kept and isinstance(kept[-1], PauseDraft):
        kept.pop()
    return kept


def _count(requests: Iterable[RequestDraft], scenarios: Iterable[ScenarioDraft]) -> int:
    return len(list(requests)) + sum(len(requests_of(step)) for one in scenarios for step in one.steps)


def _nodes(data: Any) -> int:
    if isinstance(data, dict | list):
        return 1 + sum(map(_nodes, data.values() if isinstance(data, dict) else data))
    return 1


def _size(data: Any) -> int:
    """Return about how many bytes data take as YAML, indentation included."""
    match data:
        case dict():
            return sum(len(key) + 24 + _size(value) for key, value in data.items())
        case list():
            return sum(24 + _size(value) for value in data)
        case str():
            return len(data) if data.isascii() and data.isprintable() else 10 * len(data)
    return 20
