"""Variables of a load: where their values come from, and whether the requests use exactly those."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, Field

from runner.core import template
from runner.experiment.base_model import Conflict, SpecModel, invalid_value
from runner.experiment.fields import EnvName, Text
from runner.experiment.request import Request, Slot
from runner.experiment.suggestions import did_you_mean, display, join_words

MAX_VARIABLES: Final = 100
_WRONG: Final = re.compile(r"[^A-Za-z0-9_]+")


def _variable_name(value: str) -> str:
    if not template.NAME.fullmatch(value):
        near = _WRONG.sub("_", value)[:48]
        hint = f"did you mean '{near}'?" if template.NAME.fullmatch(near) else ""
        message = "should be 1 to 48 letters, digits and '_', and not begin with a digit, not"
        raise invalid_value(f"{message} {display(value)}", hint)
    return value


VariableName: TypeAlias = Annotated[Text, AfterValidator(_variable_name)]


class Variable(SpecModel):
    """A secret: it is sent, and stored nowhere."""

    env: EnvName = Field(
        description="Environment variable with the value. It is read when the run starts, masked in every "
        "output, and in no file.",
        examples=["API_TOKEN"],
    )


def used(requests: Iterable[Request]) -> set[str]:
    """Return the names of the variables in valid requests."""
    return {name for request in requests for slot in request.slots() for name in template.names(slot.text)}


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
        try:
            names = template.names(slot.text)
        except template.TemplateError as error:
            yield Conflict((*at, *slot.at), error.message, error.hint)
            continue
        for name in dict.fromkeys(names):
            if problem := _problem(name, slot, known):
                yield Conflict((*at, *slot.at), *problem)


def _problem(name: str, slot: Slot, known: Mapping[str, Variable]) -> tuple[str, str] | None:
    """Return message and hint about a reference, None if it is right."""
    if slot.fixed:
        return f"a name cannot contain a variable, here {name}", "write $${ for a literal ${"
    if name in known:
        return None
    if not known:
        example = f"add variables: {{{name}: {{env: NAME}}}} to load, or write $${{ for a literal ${{"
        return f"there are no load.variables, so ${{{name}}} has no value", example
    hint = did_you_mean(name, known) or f"variables are {join_words(known, 'and')}"
    return f"there is no variable '{name}' in load.variables", hint
