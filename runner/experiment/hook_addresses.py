"""Addresses of services in hooks: ``${db.host}`` and ``${db.port}``.

They are inserted before the values that hooks extract, because a service need not be called as a variable
can be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, TypeAlias

from runner.experiment.base_model import Conflict
from runner.experiment.hooks import Hook, HookRequest
from runner.experiment.service_addresses import PARTS, REFERENCE, Addresses, KnownServices, reference_problem
from runner.experiment.services import Service, Watched
from runner.experiment.suggestions import did_you_mean, join_words

_TEXTS: Final = ("path", "query", "headers", "body", "json_body", "form")
"""The fields of a request in which values can stand; in multipart, it is the values of the parts."""
_Replace: TypeAlias = Callable[[str, str], str | None]
"""Returns what replaces a reference to a part of a service; None to leave it as it is."""


def with_addresses(hook: Hook, addresses: Addresses) -> Hook:
    """Return a hook with the addresses of services inserted; ``$${db.host}`` stays as it is.

    Args:
        hook: To copy.
        addresses: Service to its host and port, as the hook reaches them.
    """

    def replace(name: str, part: str) -> str | None:
        value = addresses[name][PARTS.index(part)] if name in addresses and part in PARTS else None
        return None if value is None else str(value)

    return _replaced(hook, replace)


def without_addresses(hook: Hook) -> Hook:
    """Return a valid hook without its addresses: what is left are the values that it inserts."""
    return _replaced(hook, lambda _, part: "" if part in PARTS else None)


def unknown_address(hook: Hook, addresses: Addresses) -> tuple[str, str] | None:
    """Return the problem with the first unknown address that a hook inserts, and what to do."""
    for _, text in texts(with_addresses(hook, addresses)):
        for escaped, name, part in REFERENCE.findall(text):
            if escaped or part not in PARTS:
                continue
            if name in addresses:
                return f"the {part} of the service {name} is not known", "write the number"
            names = f"services are {join_words(sorted(addresses), 'and')}" if addresses else ""
            return f"there is no service '{name}' that it can reach", did_you_mean(name, addresses) or names
    return None


def texts(hook: Hook) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield every text of a hook that may contain values, after the keys that lead to it."""
    for index, word in enumerate(hook.run or ()):
        yield ("run", index), word
    for name, value in hook.env.items():
        yield ("env", name), value
    for slot in hook.request.slots() if hook.request else ():
        if not slot.fixed:
            yield ("request", *slot.at), slot.text


def address_conflicts(hook: Hook, known: KnownServices, values: Collection[str]) -> Iterator[Conflict]:
    """Yield what is wrong with the addresses that a hook inserts.

    Args:
        hook: To look at.
        known: The services.
        values: Names of values that it can insert, which are no services.
    """
    for at, text in texts(hook):
        for escaped, name, part in REFERENCE.findall(text):
            problem = None if escaped else _problem(hook, name, part, known, values)
            if problem:
                yield Conflict(at, f"${{{name}.{part}}}: {problem[0]}", problem[1])


def without_references(hook: Hook, known: KnownServices, values: Collection[str]) -> Hook:
    """Return a hook without what `address_conflicts` looks at, so that no problem is found twice."""
    return _replaced(hook, lambda name, part: "" if _is_address(name, part, known, values) else None)


def _problem(
    hook: Hook, name: str, part: str, known: KnownServices, values: Collection[str]
) -> tuple[str, str] | None:
    if not _is_address(name, part, known, values):
        return None
    if hook.part and not known.on_host and name in known.watched:
        message = f"the watched service {name} runs on this host, outside the network of {hook.part}"
        return message, "remove `in`, or write the address under which that part reaches it"
    services: dict[str, Service | Watched] = {**(known.started or {}), **known.watched}
    if known.started is None and name not in services:
        return None if part in PARTS else (f"a service has no '{part}'", "write host or port")
    if not services:
        return f"there is no service '{name}'", "write $${ for a literal ${"
    return reference_problem(name, part, services, services)


def _is_address(name: str, part: str, known: KnownServices, values: Collection[str]) -> bool:
    is_service = name in (known.started or ()) or name in known.watched
    return is_service or (part in PARTS and name not in values)


def _replaced(hook: Hook, replace: _Replace) -> Hook:
    def fill(text: str) -> str:
        return REFERENCE.sub(lambda found: _or_unchanged(found, replace), text)

    run = None if hook.run is None else tuple(map(fill, hook.run))
    env = {name: fill(value) for name, value in hook.env.items()}
    request = None if hook.request is None else _filled(hook.request, fill)
    return hook.model_copy(update={"run": run, "env": env, "request": request})


def _or_unchanged(found: re.Match[str], replace: _Replace) -> str:
    escaped, name, part = found.groups()
    value = None if escaped else replace(name, part)
    return found[0] if value is None else value


def _filled(request: HookRequest, fill: Callable[[str], str]) -> HookRequest:
    update = {name: _deep(getattr(request, name), fill) for name in _TEXTS}
    if request.multipart is not None:
        update["multipart"] = tuple(
            part if part.value is None else part.model_copy(update={"value": fill(part.value)})
            for part in request.multipart
        )
    return request.model_copy(update=update)


def _deep(value: Any, fill: Callable[[str], str]) -> Any:
    """Return a value with every text in it filled; keys stay."""
    match value:
        case str():
            return fill(value)
        case Mapping():
            return {key: _deep(item, fill) for key, item in value.items()}
        case list() | tuple():
            return type(value)(_deep(item, fill) for item in value)
    return value
