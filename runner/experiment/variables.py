"""Whether the requests of a load use its variables as these can be used."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, TypeAlias

from pydantic import AfterValidator

from runner.core import template
from runner.core.template import Position, Reference
from runner.experiment.base_model import Conflict, invalid_value
from runner.experiment.fields import Text
from runner.experiment.request import Request, Slot, is_header_value
from runner.experiment.suggestions import did_you_mean, display, join_words

if TYPE_CHECKING:  # many specifications have none
    from runner.experiment.variable import Variable

MAX_VARIABLES: Final = 100
_EXTRACTED: Final[ContextVar[frozenset[str]]] = ContextVar("names that hooks extract", default=frozenset())
_WRONG: Final = re.compile(r"[^A-Za-z0-9_]+")


def _variable_name(value: str) -> str:
    if not template.NAME.fullmatch(value):
        near = _WRONG.sub("_", value)[:48]
        hint = f"did you mean '{near}'?" if template.NAME.fullmatch(near) else ""
        message = "should be 1 to 48 letters, digits and '_', and not begin with a digit, not"
        raise invalid_value(f"{message} {display(value)}", hint)
    return value


VariableName: TypeAlias = Annotated[Text, AfterValidator(_variable_name)]


class Use(NamedTuple):
    """How requests use the rows of a variable.

    Attributes:
        path: The column or keys; empty for the whole row.
        in_header: Whether it stands in a header.
    """

    path: str
    in_header: bool


class RowFacts(NamedTuple):
    """What is known of a variable's rows when a specification is read.

    Attributes:
        rows: How many there are; None if they are not known.
        problem: Why they cannot be sent, without a full stop; empty if they can.
        hint: What to do.
        path: The column or keys that the rows do not have; empty if something else is wrong.
    """

    rows: int | None
    problem: str = ""
    hint: str = ""
    path: str = ""


ReadRows: TypeAlias = Callable[["Variable", frozenset[Use]], RowFacts]
"""Returns what is known of the rows in a variable's file."""


def uses(requests: Iterable[Request]) -> dict[str, frozenset[Use]]:
    """Return name of each variable in valid requests to how it is used."""
    by_name: dict[str, set[Use]] = {}
    for request in requests:
        for slot in request.slots():
            for reference in template.references(slot.text):
                use = Use(reference.path, slot.position is Position.HEADER)
                by_name.setdefault(reference.name, set()).add(use)
    return {name: frozenset(found) for name, found in by_name.items()}


def places(
    load_requests: Iterable[tuple[tuple[str | int, ...], Request]], reference: Reference
) -> Iterator[tuple[str | int, ...]]:
    """Yield where a reference stands.

    Args:
        load_requests: Where each request stands, and the request.
        reference: To look for.
    """
    for at, request in load_requests:
        yield from (
            (*at, *slot.at) for slot in request.slots() if reference in template.references(slot.text)
        )


def used(requests: Iterable[Request]) -> set[str]:
    """Return the names of the variables in valid requests."""
    return {name for request in requests for slot in request.slots() for name in template.names(slot.text)}


@contextmanager
def extracting(names: Iterable[str]) -> Iterator[None]:
    """Let the requests of a load that is validated meanwhile use names that hooks extract."""
    token = _EXTRACTED.set(frozenset(names))
    try:
        yield
    finally:
        _EXTRACTED.reset(token)


def hook_names() -> frozenset[str]:
    """Return the names that hooks extract, while the load that may use them is validated."""
    return _EXTRACTED.get()


def problems(
    request: Request, at: tuple[str | int, ...], known: Mapping[str, Variable]
) -> Iterator[Conflict]:
    """Yield what is wrong with the variables in a request.

    Args:
        request: To look at.
        at: Leads from the load down to the request.
        known: The load's variables.
    """
    for slot in request.slots():
        for problem in problems_in(slot.text, partial(problem_of, slot=slot, known=known)):
            yield Conflict((*at, *slot.at), *problem)


def hook_problems(
    texts: Iterable[tuple[tuple[str | int, ...], str]],
    request: Request | None,
    known: Mapping[str, Variable],
    extracted: Collection[str],
) -> Iterator[Conflict]:
    """Yield what is wrong with the values that a hook inserts.

    Args:
        texts: Those of its command, after the keys that lead to them.
        request: Its request.
        known: The load's variables, of which a hook can use those that are the same for every request.
        extracted: Names that earlier hooks extract.
    """
    constant = {name for name, variable in known.items() if variable.is_secret} | set(extracted)
    slots = [*(Slot(at, text, Position.BODY) for at, text in texts)]
    slots += [slot._replace(at=("request", *slot.at)) for slot in (request.slots() if request else ())]
    for slot in slots:
        check = partial(_hook_problem, slot=slot, known=known, constant=constant)
        for problem in problems_in(slot.text, check):
            yield Conflict(slot.at, *problem)


def problems_in(text: str, check: Callable[[Reference], tuple[str, str] | None]) -> Iterator[tuple[str, str]]:
    """Yield message and hint of each problem with a template."""
    try:
        references = template.references(text)
    except template.TemplateError as error:
        yield error.message, error.hint
        return
    for reference in dict.fromkeys(references):
        if problem := check(reference):
            yield problem


def _hook_problem(
    reference: Reference, slot: Slot, known: Mapping[str, Variable], constant: Collection[str]
) -> tuple[str, str] | None:
    name = reference.name
    if slot.fixed:
        return _variable_in_name(name)
    if name in constant:
        return _part_of_constant(reference)
    if name in known:
        message = f"{reference} has another value for each request ({known[name].source})"
        return message, "hooks can insert what earlier hooks extract, and {env: NAME} variables of the load"
    hint = did_you_mean(name, constant) or "write $${ for a literal ${"
    return f"no earlier hook extracts '{name}', and load.variables has no such variable", hint


def long_orders(known: Mapping[str, Variable], weights: Sequence[float]) -> Iterator[Conflict]:
    """Yield rows in order beside weights that make counting the earlier arrivals expensive."""
    counted = [name for name, variable in known.items() if variable.is_counted]
    if len(weights) < 2 or not counted:
        return
    from runner.core.mix import MAX_PERIOD, period  # noqa: PLC0415  (few specifications need it)

    if period(weights) > MAX_PERIOD:
        message = f"rows in order need weights that add up to at most {MAX_PERIOD:,} as whole numbers"
        for name in counted:
            yield Conflict(("variables", name), message, "round the weights, or write order: random")


def problem_of(
    reference: Reference, slot: Slot, known: Mapping[str, Variable], others: Sequence[str] = ()
) -> tuple[str, str] | None:
    """Return message and hint about a reference, None if it is right.

    Args:
        reference: To look at.
        slot: Where it stands.
        known: The load's variables.
        others: Names that steps before it extract, to suggest.
    """
    name, extracted = reference.name, _EXTRACTED.get()
    if slot.fixed:
        return _variable_in_name(name)
    if name in extracted:
        return _part_of_constant(reference)
    if name in known:
        variable = known[name]
        return _wrong_part(reference, variable) or _wrong_in_header(reference, slot, variable)
    if not known and not extracted and not others:
        example = f"add variables: {{{name}: {{env: NAME}}}} to load, or write $${{ for a literal ${{"
        return f"there are no load.variables, so {reference} has no value", example
    names = [*known, *sorted(extracted), *others]
    hint = did_you_mean(name, names) or f"variables are {join_words(names, 'and')}"
    extracting = [*(["hook"] if extracted else []), *(["step before"] if others else [])]
    where = f"load.variables, and no {join_words(extracting)} extracts it" if extracting else "load.variables"
    return f"there is no variable '{name}' in {where}", hint


def _variable_in_name(name: str) -> tuple[str, str]:
    return f"a name cannot contain a variable, here {name}", "write $${ for a literal ${"


def _part_of_constant(reference: Reference) -> tuple[str, str] | None:
    if not reference.path:
        return None
    return f"{reference} names a part, but {reference.name} has none", f"write ${{{reference.name}}}"


def _wrong_part(reference: Reference, variable: Variable) -> tuple[str, str] | None:
    name, path = reference
    if variable.row_format == "csv":
        hint = f"write ${{{name}.COLUMN}} with the name of a column"
        return None if path else (f"{reference} does not say which column of {name} is meant", hint)
    if path and variable.row_format != "jsonl":
        kind = "lines" if variable.row_format else variable.source
        return f"{reference} names a part, but the values of {name} ({kind}) have none", f"write ${{{name}}}"
    if path and not all(path.split(".")):
        return f"{reference} has an empty key", "separate keys by single dots, such as ${event.user.id}"
    return None


def _wrong_in_header(reference: Reference, slot: Slot, variable: Variable) -> tuple[str, str] | None:
    """Return message and hint about a value that no header can have; None if all can be there."""
    if slot.position is not Position.HEADER:
        return None
    values: Iterable[object] = variable.choice or ()
    if variable.string is not None:
        values = variable.string.alphabet
    wrong = next((value for value in values if isinstance(value, str) and not is_header_value(value)), None)
    if wrong is None:
        return None
    message = f"a value of {reference.name} cannot be sent in a header: {display(wrong)}"
    return message, "headers take printable ASCII on one line, without spaces at the ends"
