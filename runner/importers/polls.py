"""Polling in a recording: a request that is sent again and again becomes a loop that ends as it did there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby, islice
from typing import Any, Final

from runner.importers.bodies import is_json
from runner.importers.draft import PauseDraft, RepeatDraft, RequestDraft, StepDraft
from runner.importers.har_exchanges import Exchange
from runner.importers.names import Names, variable_name
from runner.importers.notes import Notes
from runner.importers.produced import document_of, leaves

_FEWEST: Final = 3
"""Fewer equal requests in a row are not taken for polling."""
_ROUNDS: Final = 5
"""How many times as many rounds as were recorded a user waits for the end."""
_MAX_ROUNDS: Final = 1000
_MAX_LEAVES: Final = 500
_FEW_STATES: Final = 2
_STATE: Final = re.compile(r"[A-Za-z][A-Za-z _-]{0,40}")
"""A word; never a token or a time."""


def folded(
    exchanges: Sequence[Exchange],
    requests: Sequence[RequestDraft],
    pauses: Sequence[float],
    names: Names,
    changes: Notes,
) -> Iterator[StepDraft]:
    """Yield the steps of a scenario, with requests that were repeated as one step.

    Args:
        exchanges: As they were recorded.
        requests: What became of them.
        pauses: The pause before each request, in seconds; 0 for none.
        names: Of variables and extracts that are taken.
        changes: Receives what was folded.
    """
    indices = range(len(requests))
    for _, group in groupby(indices, key=lambda at: _identity(requests[at])):
        run = list(group)
        loop = _loop(exchanges, requests, pauses, run, names) if len(run) >= _FEWEST else None
        if loop is None:
            for at in run:
                yield from _pause(pauses[at])
                yield requests[at]
            continue
        changes.add("requests that were repeated became a loop", requests[run[0]].name)
        if not isinstance(loop.steps[0], PauseDraft):
            yield from _pause(pauses[run[0]])
        yield loop


def _pause(seconds: float) -> Iterator[PauseDraft]:
    if seconds:
        yield PauseDraft(seconds)


def _identity(request: RequestDraft) -> str:
    """Return what is equal for requests that are the same but for their place in the recording."""
    return repr(replace(request, name="", extract={}))


def _loop(
    exchanges: Sequence[Exchange],
    requests: Sequence[RequestDraft],
    pauses: Sequence[float],
    run: Sequence[int],
    names: Names,
) -> RepeatDraft | None:
    """Return a loop in place of some requests; None if what it would extract depends on the round.

    With a state that only the last response has, it ends there; without one, after as many rounds.
    """
    if any(requests[at].extract for at in run[:-1]):
        return None
    last = requests[run[-1]]
    extract = {name: {**one, "default": ""} for name, one in last.extract.items()}
    between = [pauses[at] for at in run[1:]]
    pause = round(sum(between) / len(between), 1)
    state = _state([exchanges[at] for at in run])
    if state is None:
        return None if extract else RepeatDraft((*_pause(pause), requests[run[0]]), len(run))
    path, key, value = state
    name = names.unique(variable_name(key))
    request = replace(requests[run[0]], extract={**extract, name: {"json": path, "default": ""}})
    return RepeatDraft((*_pause(pause), request), min(_ROUNDS * len(run), _MAX_ROUNDS), {name: value})


def _state(polls: Sequence[Exchange]) -> tuple[str, str, Any] | None:
    """Return where the last response has a value that those before had not, its key and the value.

    It stayed the same until then: what changes all the time, such as a time, is no state.
    """
    documents = [_leaves(poll) for poll in polls]
    *earlier, last = documents
    found = []
    for path, (key, value) in last.items():
        before = [one[path][1] for one in earlier if path in one]
        if len(before) == len(earlier) and value not in before and len(set(before)) <= _FEW_STATES:
            found.append((len(set(before)), not isinstance(value, str), path, key, value))
    return min(found, key=lambda one: one[:3])[2:] if found else None


def _leaves(poll: Exchange) -> dict[str, tuple[str, Any]]:
    """Return the path of each short text and each truth value to its key and value."""
    if not is_json(poll.content_type):
        return {}
    found = islice(leaves(document_of(poll.body)), _MAX_LEAVES)
    return {
        path: (key, value)
        for path, key, value in found
        if isinstance(value, bool) or (isinstance(value, str) and _STATE.fullmatch(value))
    }
