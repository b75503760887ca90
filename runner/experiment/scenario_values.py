"""Whether every value that a step of a scenario inserts has been extracted before it, on every way to it.

The analysis follows the steps in order and keeps two sets: the names that have a value for certain, and
those that may have one (definite assignment; "The Java Language Specification", chapter 16). What an `if`
says about a name counts within its steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from runner.core.template import Reference
from runner.experiment.base_model import Conflict
from runner.experiment.condition import ConditionRules, requires_value
from runner.experiment.request import Request, Slot
from runner.experiment.scenario import Scenario, Step, StepKind
from runner.experiment.scenario_requests import request_of
from runner.experiment.suggestions import did_you_mean
from runner.experiment.variables import hook_names, problem_of, problems_in

if TYPE_CHECKING:
    from runner.experiment.traffic import Load

_At: TypeAlias = tuple[str | int, ...]
_EXISTS: Final = "if: {{{0}: {{exists: true}}}}"


class _Kind(NamedTuple):
    """What is known of a value.

    Attributes:
        is_list: Whether it is certainly the list of all values.
        has_parts: Whether it may be an object or a list, of which keys select a part.
        source: What it was extracted from, for messages.
    """

    is_list: bool
    has_parts: bool
    source: str


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of the values between two steps.

    Attributes:
        certain: The names that have a value.
        possible: The names that may have one, which include those.
    """

    certain: frozenset[str]
    possible: Mapping[str, _Kind]

    def having(self, *names: str) -> _Known:
        """Return what is known if some names certainly have a value."""
        return _Known(self.certain | (frozenset(names) & self.possible.keys()), self.possible)

    def extracting(self, step: Step) -> _Known:
        """Return what is known after the extracts of a step."""
        certain, possible = set(self.certain), dict(self.possible)
        for name, extraction in (step.extract or {}).items():
            possible[name] = _Kind(extraction.is_list, extraction.has_parts, extraction.source)
            (certain.discard if extraction.may_be_absent else certain.add)(name)
        return _Known(frozenset(certain), possible)

    def or_(self, other: _Known) -> _Known:
        """Return what is known after one of two ways."""
        possible = dict(self.possible)
        for name, kind in other.possible.items():
            mine = possible.get(name, kind)
            possible[name] = _Kind(
                mine.is_list and kind.is_list, mine.has_parts or kind.has_parts, mine.source
            )
        return _Known(self.certain & other.certain, possible)

    def loses_in(self, later: _Known) -> bool:
        """Return whether a value, or that it is a list, is certain here and no longer later."""
        lists = {name for name, kind in self.possible.items() if kind.is_list}
        still = {name for name, kind in later.possible.items() if kind.is_list}
        return bool(self.certain - later.certain or lists - still)

    def without(self, name: str) -> _Known:
        """Return what is known once a name has gone out of scope."""
        possible = {key: kind for key, kind in self.possible.items() if key != name}
        return _Known(self.certain - {name}, possible)


_NOTHING: Final = _Known(frozenset(), {})


def value_conflicts(load: Load, scenario: Scenario) -> Iterator[Conflict]:
    """Yield what is wrong with the values of a scenario, each with the way from the scenario down to it."""
    yield from _shadowing(load, scenario)
    analysis = _Analysis(load, scenario)
    analysis.follow(scenario.steps, ("steps",), _NOTHING)
    yield from analysis.conflicts


def new_names(scenario: Scenario) -> Iterator[tuple[_At, str]]:
    """Yield every name that a scenario gives a value, and where it does."""
    for placed in scenario.placed_steps():
        for name in placed.step.extract or ():
            yield (*placed.at, "extract", name), name
        if placed.step.item:
            yield (*placed.at, "as"), placed.step.item


def _shadowing(load: Load, scenario: Scenario) -> Iterator[Conflict]:
    """Yield names that have another meaning already."""
    extracted = {name for at, name in new_names(scenario) if at[-1] != "as"}
    hint = "choose another name"
    for at, name in new_names(scenario):
        if name in load.variables:
            yield Conflict(at, f"'{name}' is a variable in load.variables already", hint)
        elif name in hook_names():
            yield Conflict(at, f"'{name}' is extracted by a hook already", hint)
        elif at[-1] == "as" and name in extracted:
            yield Conflict(at, f"'{name}' is extracted by a step of this scenario already", hint)


class _Analysis:
    """Follows the steps of a scenario and collects what is wrong.

    Attributes:
        conflicts: In the order in which they were found; a dict because steps in a loop are followed twice.
    """

    def __init__(self, load: Load, scenario: Scenario) -> None:
        self.conflicts: dict[Conflict, None] = {}
        self._followed: dict[tuple[_At, frozenset[str], frozenset[tuple[str, _Kind]]], _Known] = {}
        self._load = load
        self._extracted_by = {
            name: placed.step.step_name
            for placed in scenario.request_steps()
            for name in placed.step.extract or ()
        }
        self._items = {placed.step.item for placed in scenario.placed_steps() if placed.step.item}

    def follow(self, steps: Sequence[Step], at: _At, known: _Known) -> _Known:
        """Return what is known after some steps."""
        for index, step in enumerate(steps):
            known = self._after(step, (*at, index), known)
        return known

    def _after(self, step: Step, at: _At, known: _Known) -> _Known:
        follow = _FOLLOW.get(step.kind)
        return follow(self, step, at, known) if follow else known

    def after_request(self, step: Step, at: _At, known: _Known) -> _Known:
        """Return what is known after a request and its extracts."""
        self._check_request(step, at, known)
        return known.extracting(step)

    def after_probability(self, step: Step, at: _At, known: _Known) -> _Known:
        """Return what is known after steps that only some users go through."""
        return known.or_(self._inside(step, at, known))

    def after_choose(self, step: Step, at: _At, known: _Known) -> _Known:
        """Return what is known after one of several alternatives."""
        ends = [self.follow(inner, (*at, *below), known) for below, inner in step.alternatives()]
        return reduce(_Known.or_, ends)

    def _inside(self, step: Step, at: _At, known: _Known) -> _Known:
        """Return what is known after the steps inside a step; those of nested loops are followed once."""
        place = (at, known.certain, frozenset(known.possible.items()))
        if place not in self._followed:
            self._followed[place] = self.follow(step.steps or (), (*at, "steps"), known)
        return self._followed[place]

    def after_loop(self, step: Step, at: _At, known: _Known) -> _Known:
        """Return what is known after repeated steps: what the last round lost, the next one lacks."""
        end = self._inside(step, at, known)
        if (step.repeat is None or step.repeat > 1) and known.loses_in(end):
            end = self._inside(step, at, known.or_(end))
        for name, condition in (step.until or {}).items():
            self._check_condition((*at, "until", name), name, condition, end)
        return end

    def after_for_each(self, step: Step, at: _At, known: _Known) -> _Known:
        """Return what is known after steps that are repeated for each entry of a list."""
        name, item = step.for_each or "", step.item or ""
        place = (*at, "for_each")
        if name not in known.possible:
            self._add(place, *self._unknown(name))
        elif not known.possible[name].is_list:
            self._add(place, f"'{name}' is a single value", f"add pick: all to the extract of {name}")
        elif name not in known.certain:
            self._add(place, *_uncertain(name))
        if item in known.possible and item not in self._extracted_by:
            self._add(
                (*at, "as"), f"'{item}' is the entry of an outer for_each already", "choose another name"
            )
        source = known.possible.get(name)
        kind = _Kind(
            is_list=False, has_parts=source is None or source.has_parts, source="an entry of the list"
        )
        inside = _Known(known.certain | {item}, {**known.possible, item: kind})
        end = self.after_loop(step, at, inside)
        return known.or_(end if item in known.possible else end.without(item))

    def after_if(self, step: Step, at: _At, known: _Known) -> _Known:
        """Return what is known after steps under a condition."""
        conditions: Mapping[str, Any] = step.condition or {}
        for name, condition in conditions.items():
            self._check_condition((*at, "if", name), name, condition, known)
        holds = known.having(*(name for name, one in conditions.items() if requires_value(one)))
        absent = [name for name, one in conditions.items() if not requires_value(one)]
        fails = known.having(*absent) if len(conditions) == 1 else known
        otherwise = self.follow(step.otherwise, (*at, "else"), fails) if step.otherwise else fails
        return self._inside(step, at, holds).or_(otherwise)

    def _check_condition(self, at: _At, name: str, condition: Any, known: _Known) -> None:
        if name not in known.possible:
            self._add(at, *self._unknown(name))
            return
        only_exists = isinstance(condition, ConditionRules) and not condition.asks_of_value
        if known.possible[name].is_list and not only_exists:
            message = f"'{name}' is a list, which only exists can be asked of"
            self._add(at, message, "write {exists: true}, or extract a single value")

    def _check_request(self, step: Step, at: _At, known: _Known) -> None:
        request = request_of(self._load, step)
        for slot in request.slots() if request else ():
            for message, hint in problems_in(slot.text, partial(self._problem, slot=slot, known=known)):
                if isinstance(step.request, Request):
                    self._add((*at, "request", *slot.at), message, hint)
                else:
                    self._add((*at, "request"), f"in the request '{step.request}': {message}", hint)

    def _problem(self, reference: Reference, slot: Slot, known: _Known) -> tuple[str, str] | None:
        name = reference.name
        if slot.fixed or name in self._load.variables or name in hook_names():
            return problem_of(reference, slot, self._load.variables)
        if name in known.possible:
            if name not in known.certain:
                return _uncertain(name)
            return _wrong_part(reference, known.possible[name])
        if name in self._extracted_by or name in self._items:
            return self._unknown(name)
        return problem_of(reference, slot, self._load.variables, sorted(known.possible))

    def _unknown(self, name: str) -> tuple[str, str]:
        """Return message and hint about a name that no step before has given a value."""
        if name in self._extracted_by:
            hint = f"step '{self._extracted_by[name]}' does: move it before this one"
            return f"no step before this one extracts '{name}'", hint
        if name in self._items:
            return f"'{name}' exists only within the steps of its for_each", "move this step there"
        if name in self._load.variables or name in hook_names():
            origin = "a variable" if name in self._load.variables else "extracted by a hook"
            message = f"'{name}' is {origin}, but only what steps extract can be used here"
            return message, "use choose or probability"
        example = f"add extract: {{{name}: {{json: $.{name}}}}} to a step"
        return f"no step extracts '{name}'", did_you_mean(name, self._extracted_by) or example

    def _add(self, at: _At, message: str, hint: str) -> None:
        self.conflicts.setdefault(Conflict(at, message, hint))


_FOLLOW: Final[Mapping[StepKind, Callable[[_Analysis, Step, _At, _Known], _Known]]] = {
    StepKind.REQUEST: _Analysis.after_request,
    StepKind.REPEAT: _Analysis.after_loop,
    StepKind.PROBABILITY: _Analysis.after_probability,
    StepKind.CHOOSE: _Analysis.after_choose,
    StepKind.FOR_EACH: _Analysis.after_for_each,
    StepKind.IF: _Analysis.after_if,
}
"""How each kind of step is followed; a pause changes nothing."""


def _uncertain(name: str) -> tuple[str, str]:
    message = f"'{name}' may have no value here, because it is not extracted on every way to this step"
    return message, f"put the step into {_EXISTS.format(name)}, or give the extract a default"


def _wrong_part(reference: Reference, kind: _Kind) -> tuple[str, str] | None:
    if not reference.path:
        return None
    if not kind.has_parts:
        message = f"{reference} names a part, but {reference.name} ({kind.source}) has none"
        return message, f"write ${{{reference.name}}}"
    if not all(reference.path.split(".")):
        return f"{reference} has an empty key", "separate keys by single dots, such as ${event.user.id}"
    return None
