"""Words of the format that this version does not carry out yet.

A word leaves this table when its room can do it; nothing else has to change. Until then
it is refused with a sentence, never ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from runner.experiment.problems import Fault
from runner.experiment.yaml.tree import MapNode, Place, Scalar, find

ANY: Final = ""
"""In `NOT_YET`: whatever the key holds, unless it is null."""

NOT_YET: Final[dict[tuple[str, ...], dict[str, str]]] = {
    ("topology", "kind"): {"swarm": "topology kind 'swarm'"},
}
"""Path in a configuration -> value -> what to call it."""


def awaited(
    configuration: MapNode, table: Mapping[tuple[str, ...], Mapping[str, str]] = NOT_YET
) -> Iterator[Fault]:
    """A fault for everything in a resolved configuration that has to wait."""
    for path, words in table.items():
        above = find(configuration, path[:-1]).node
        if not isinstance(above, MapNode) or path[-1] not in above.entries:
            continue
        entry = above.entries[path[-1]]
        value = entry.value.value if isinstance(entry.value, Scalar) else None
        is_set = not isinstance(entry.value, Scalar) or value is not None
        name = words.get(value) if isinstance(value, str) else None
        name = name or (words.get(ANY) if is_set else None)
        if name:
            at = Place(entry.value, entry.key).value
            yield Fault(at, entry.value.path, f"{name} is not available yet in this version")
