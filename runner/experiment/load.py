"""Reads a specification file into an `Experiment`, or reports every problem with its position.

decode -> parse -> --set -> merge configurations -> validate. Each step passes on what it could
read, so that one run reports all problems.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner.experiment.base_model import FILE_PROBLEM, FROM_FILE, ROWS, FileProblem, ValidationError
from runner.experiment.matrix import spread, too_many_cells
from runner.experiment.model import MAX_CONFIGURATIONS, Experiment
from runner.experiment.overlay import base, resolve
from runner.experiment.overrides import apply
from runner.experiment.problems import Fault, Refused, in_order, lines_of, specification_error
from runner.experiment.variables import ReadRows
from runner.experiment.yaml.parser import parse
from runner.experiment.yaml.text import decode
from runner.experiment.yaml.tree import Entry, ListNode, MapNode, Mark, marks, plain


def read_spec(
    text: bytes,
    *,
    source: str,
    overrides: Sequence[str] = (),
    file_problem: FileProblem | None = None,
    read_rows: ReadRows | None = None,
) -> Experiment:
    """Return the experiment that a file describes.

    Args:
        text: The content of the file.
        source: The file's name, for messages.
        overrides: ``path=value`` of every ``--set``, applied in order before configurations are merged.
        file_problem: Returns what is wrong with a file that the specification names, empty if nothing; None
            where files do not matter, as for the specification in an archive.
        read_rows: Reads the rows of variables; likewise.

    Raises:
        SpecificationError: The file or an override is invalid; contains every problem.
    """
    try:
        document = decode(text)
    except Refused as refused:
        lines = lines_of(text.decode("utf-8", "replace").removeprefix("\ufeff"))
        raise specification_error(source, lines, [refused.fault]) from None
    context = {**FROM_FILE, FILE_PROBLEM: file_problem, ROWS: read_rows}
    experiment, faults = _read(document, overrides, context)
    if faults or experiment is None:
        raise specification_error(source, lines_of(document), in_order(faults))
    return experiment


def _read(
    text: str, overrides: Sequence[str], context: Mapping[str, Any]
) -> tuple[Experiment | None, list[Fault]]:
    try:
        root, in_text = parse(text)
    except Refused as refused:
        return None, [refused.fault]
    if not isinstance(root, MapNode):
        message = "the file is empty" if root is None else "the file should be a mapping of keys to values"
        return None, [*in_text, Fault(root.mark if root else Mark(1, 1), "", message)]
    document, in_overrides = apply(root, overrides)
    if too_many := _too_many(document):
        return None, [*in_text, *in_overrides, too_many]
    resolved, in_matrix = spread(document, resolve(document), listed="configurations" in document.entries)
    early = [*in_text, *in_overrides, *in_matrix, *_without_effect(document, resolved)]
    experiment, late = _validate(resolved, document, context)
    known = {fault.path for fault in early}
    return experiment, [*early, *(fault for fault in late if fault.path not in known)]


def _too_many(document: MapNode) -> Fault | None:
    """Return a fault if there are too many configurations, before any is copied."""
    listed = document.entries.get("configurations")
    items = listed.value.items if listed and isinstance(listed.value, ListNode) else ()
    if listed and len(items) > MAX_CONFIGURATIONS:
        return Fault(listed.key, listed.value.path, f"should have at most {MAX_CONFIGURATIONS} entries")
    return too_many_cells(document, max(len(items), 1))


def _without_effect(document: MapNode, resolved: MapNode) -> Iterator[Fault]:
    """Yield a fault for each override of a key that every configuration sets itself."""
    used = {mark.override for mark in marks(resolved)}
    for override in dict.fromkeys(mark.override for mark in marks(document)):
        if override is not None and override not in used:
            path = override.partition("=")[0]
            message = "has no effect, because each configuration sets this key"
            hint = f"set it in a configuration, such as configurations[0].{path}"
            yield Fault(Mark(1, 1, len(path), override), path, message, hint)


def _validate(
    resolved: MapNode, document: MapNode, context: Mapping[str, Any]
) -> tuple[Experiment | None, list[Fault]]:
    """Return the model, or the problems in the configurations and in the shared keys."""
    try:
        experiment = Experiment.model_validate(plain(resolved), context=dict(context))
        return experiment, _base_faults(resolved, document, context)
    except ValidationError as error:
        from runner.experiment.repair import hidden_conflicts  # noqa: PLC0415  (only errors need it)
        from runner.experiment.validation_errors import explain  # noqa: PLC0415

        errors = error.errors(include_url=False)
        hidden = hidden_conflicts(plain(resolved), errors, context)
        return None, [*explain(resolved, [*errors, *hidden]), *_base_faults(resolved, document, context)]


def _base_faults(resolved: MapNode, document: MapNode, context: Mapping[str, Any]) -> list[Fault]:
    """Return the problems in shared keys, also in those that every configuration replaces."""
    if "configurations" not in document.entries:
        return []
    shared = base(document)
    alone = ListNode(shared.mark, shared.path, (shared,))
    listed = Entry(document.entries["configurations"].key, alone)
    tree = MapNode(resolved.mark, resolved.path, {**resolved.entries, "configurations": listed})
    try:
        Experiment.model_validate(plain(tree), context=dict(context))
    except ValidationError as error:
        from runner.experiment.validation_errors import CROSS_FIELD, explain  # noqa: PLC0415

        errors = error.errors(include_url=False)
        return list(explain(tree, [error for error in errors if error["type"] not in CROSS_FIELD]))
    return []
