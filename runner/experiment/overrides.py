"""``--set path=value``: changes to the document before configurations are merged.

Values are YAML, so ``stages=[{rps: 10, duration: 1s}]`` works. A path selects a list entry by index
or by ``name``: ``stages[0].rps``, ``configurations.docker.load``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from runner.experiment.problems import Fault, Refused
from runner.experiment.suggestions import did_you_mean, display, join_words
from runner.experiment.yaml.parser import parse
from runner.experiment.yaml.text import decode
from runner.experiment.yaml.tree import Entry, ListNode, MapNode, Mark, Node, Scalar, join, plain

_STEP: Final = re.compile(r"\.?([^.\[\]=\s][^.\[\]=]{0,99})|\[([^\[\]=]{1,100})\]")
_MAX_LENGTH: Final = 4096
_SYNTAX: Final = "write path=value, such as load.timeout=5s or stages[0].rps=100"


def apply(document: MapNode, overrides: Sequence[str]) -> tuple[MapNode, list[Fault]]:
    """Return the document with all overrides applied in order, and the problems with them."""
    faults: list[Fault] = []
    for override in overrides:
        try:
            path, node, in_value = _read(override)
            changed = put(document, path, node, Mark(1, 1, len(override.partition("=")[0]), override))
        except Refused as refused:
            faults.append(refused.fault)
            continue
        faults += in_value
        if isinstance(changed, MapNode):
            document = changed
    return document, faults


def _read(override: str) -> tuple[list[str], Node, list[Fault]]:
    """Return the steps of the path, the tree of the value, and the problems in it."""
    path, equals, text = override.partition("=")
    mark = Mark(1, 1, max(len(path), 1), override[:_MAX_LENGTH])
    if not equals or len(override) > _MAX_LENGTH:
        raise Refused(mark, "", "should be path=value", _SYNTAX)
    steps = steps_of(path)
    if not steps:
        raise Refused(mark, "", f"{display(path)} is not a path", _SYNTAX)
    try:
        text = decode(text.encode("utf-8", "surrogateescape"))
        node, faults = parse(text, path=path, override=override, indent=len(path) + 1)
    except Refused as refused:
        fault = refused.fault
        at = fault.mark if fault.mark.override else mark
        raise Refused(at, path, fault.message, fault.hint) from None
    return steps, node or Scalar(mark, path, None), faults


def steps_of(path: str) -> list[str]:
    """Return ``stages``, ``0``, ``rps`` for ``stages[0].rps``; empty if it is not a path."""
    steps, position = [], 0
    while position < len(path):
        step = _STEP.match(path, position)
        starts_well = step is not None and (step[0][0] == "[" or (step[0][0] == ".") == (position > 0))
        if step is None or not starts_well:
            return []
        steps.append(step[1] or step[2])
        position = step.end()
    return steps


def put(at: Node, steps: Sequence[str], node: Node, mark: Mark) -> Node:
    """Return a copy of the tree `at` with `node` at the end of the steps; missing maps are created."""
    if not steps:
        return node
    step, *rest = steps
    match at:
        case Scalar(value=None):
            return put(MapNode(mark, at.path, {}), steps, node, mark)
        case MapNode():
            below = at.entries.get(step) or Entry(mark, Scalar(mark, join(at.path, step), None))
            entry = Entry(below.key if rest else mark, put(below.value, rest, node, mark))
            return MapNode(at.mark, at.path, {**at.entries, step: entry})
        case ListNode():
            index = _index(at, step, mark)
            items = list(at.items)
            items[index] = put(items[index], rest, node, mark)
            return ListNode(at.mark, at.path, tuple(items))
        case Scalar():
            message = f"is {display(at.value)}, not a mapping, so it has no key {display(step)}"
            raise Refused(mark, at.path, message)


def _index(at: ListNode, step: str, mark: Mark) -> int:
    names = [_name(item) for item in at.items]
    if step in names:
        return names.index(step)
    if step.isdecimal() and len(step) < 5 and int(step) < len(at.items):
        return int(step)
    known = [name for name in names if name]
    numbering = f"named {join_words(known, 'and')}" if known else "numbered from 0"
    count = "1 entry" if len(at.items) == 1 else f"{len(at.items)} entries"
    message = f"has {count}, {numbering}; there is no {display(step)}"
    raise Refused(mark, at.path, message, did_you_mean(step, known))


def _name(item: Node) -> str | None:
    named = item.entries.get("name") if isinstance(item, MapNode) else None
    value = plain(named.value) if named else None
    return value if isinstance(value, str) else None
