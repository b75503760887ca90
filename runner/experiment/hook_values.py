"""Which values the hooks of a configuration insert and extract, and what is wrong with them."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from runner.core import template
from runner.experiment.base_model import Conflict, conflict_if
from runner.experiment.hook_addresses import (
    address_conflicts,
    texts,
    without_addresses,
    without_references,
)
from runner.experiment.hooks import Hook, Hooks, Phase, placed
from runner.experiment.service_addresses import KnownServices
from runner.experiment.suggestions import did_you_mean, join_words
from runner.experiment.variable import Variable
from runner.experiment.variables import hook_problems


def used_names(hooks: Hooks | None) -> set[str]:
    """Return the names of the values that valid hooks insert."""
    return {name for _, _, hook in placed(hooks) for name in needed_names(hook)}


def needed_names(hook: Hook) -> set[str]:
    """Return the names of the values that a valid hook inserts."""
    return {name for _, text in texts(without_addresses(hook)) for name in template.names(text)}


def conflicts(
    hooks: Hooks | None,
    variables: Mapping[str, Variable],
    parts: Collection[str] | None,
    services: KnownServices,
) -> Iterator[Conflict | None]:
    """Yield what is wrong with the hooks of a configuration.

    Args:
        hooks: To look at.
        variables: The load's.
        parts: Names of the parts that commands can run inside; None where only the stack knows them.
        services: Those whose addresses can be inserted.
    """
    extracted: set[str] = set()
    for phase, number, hook in placed(hooks):
        at = ("hooks", phase.value, number - 1)
        if parts is not None and hook.part is not None and hook.part not in parts:
            yield Conflict((*at, "in"), *_no_part(hook.part, parts))
        values = {*variables, *extracted}
        for conflict in address_conflicts(hook, services, values):
            yield Conflict((*at, *conflict.at), conflict.message, conflict.hint)
        plain = without_references(hook, services, values)
        words = [(place, text) for place, text in texts(plain) if place[0] != "request"]
        for conflict in hook_problems(words, plain.request, variables, extracted):
            yield Conflict((*at, *conflict.at), conflict.message, conflict.hint)
        for name in hook.extract:
            message = f"'{name}' is a variable in load.variables already"
            yield conflict_if(name in variables, (*at, "extract", name), message, "choose another name")
        extracted.update(hook.extract)


def _no_part(name: str, parts: Collection[str]) -> tuple[str, str]:
    if not parts:
        return "this kind of topology has no part that commands could run inside", "remove it"
    return f"there is no part '{name}'", did_you_mean(name, parts) or f"parts are {join_words(parts, 'and')}"


def extracted_names(hooks: Any) -> set[str]:
    """Return the names that `setup` and `before_trial` extract, of hooks that may not be validated yet."""
    names: set[str] = set()
    for phase in (Phase.SETUP, Phase.BEFORE_TRIAL):
        listed = _get(hooks, phase)
        for hook in listed if isinstance(listed, list | tuple) else ():
            extract = _get(hook, "extract")
            names.update(str(name) for name in extract if isinstance(extract, Mapping))
    return names


def _get(value: Any, key: str) -> Any:
    """Return a member of a mapping or a model; empty if there is none."""
    return (value.get(key) if isinstance(value, Mapping) else getattr(value, key, None)) or ()
