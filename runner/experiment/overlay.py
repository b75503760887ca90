"""Merges each configuration into the shared keys (JSON Merge Patch, RFC 7396).

Maps merge key by key, any other value replaces the shared one, and null removes a key. One
exception: a topology of another `kind` replaces the whole topology, because the keys of a process
do not apply to a container.
"""

from __future__ import annotations

from typing import Final

from runner.experiment.model import Configuration
from runner.experiment.yaml.tree import Entry, ListNode, MapNode, Scalar, plain

SHARED: Final = tuple(key for key in Configuration.model_fields if key not in {"name", "title"})
"""Keys at the top of a file that every configuration inherits."""

_KEY: Final = "configurations"


def resolve(document: MapNode) -> MapNode:
    """Return the document with complete configurations, as an `Experiment` has them.

    Without ``configurations``, there is one, and it has the experiment's name.
    """
    shared = base(document)
    rest = {key: entry for key, entry in document.entries.items() if key not in shared.entries}
    listed = document.entries.get(_KEY)
    if listed is None:
        named = {"name": rest["name"]} if "name" in rest else {}
        alone = MapNode(document.mark, document.path, {**named, **shared.entries})
        listed = Entry(document.mark, ListNode(document.mark, document.path, (alone,)))
    elif isinstance(listed.value, ListNode):
        items = listed.value.items
        merged = tuple(merge(shared, item) if isinstance(item, MapNode) else item for item in items)
        listed = Entry(listed.key, ListNode(listed.value.mark, listed.value.path, merged))
    return MapNode(document.mark, document.path, {**rest, _KEY: listed})


def base(document: MapNode) -> MapNode:
    """Return the keys that each configuration inherits."""
    shared = {key: entry for key, entry in document.entries.items() if key in SHARED}
    return MapNode(document.mark, document.path, shared)


def merge(under: MapNode, over: MapNode) -> MapNode:
    """Return `over` merged into `under`; every value keeps its mark and path."""
    entries = dict(under.entries)
    for key, entry in over.entries.items():
        match (entries[key].value if key in entries else None, entry.value):
            case (MapNode() as below, MapNode() as above) if not _other_kind(key, below, above):
                entries[key] = Entry(entry.key, merge(below, above))
            case (MapNode() | ListNode() | Scalar(), Scalar(value=None)):
                del entries[key]
            case _:
                entries[key] = entry
    return MapNode(over.mark, over.path, entries)


def _other_kind(key: str, below: MapNode, above: MapNode) -> bool:
    if key != "topology" or not {"kind"} <= below.entries.keys() & above.entries.keys():
        return False
    return bool(plain(below.entries["kind"].value) != plain(above.entries["kind"].value))
