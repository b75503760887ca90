"""How many workers each of several unequal nodes gets.

Workers share a schedule evenly: each takes every n-th arrival. So a node that can offer twice as much as
another gets two workers for the other's one, and the union of all parts remains exactly the whole schedule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_EXCESS: Final = 1.25
"""A node may get this multiple of its share of all capacities: measured ceilings vary more than 10 %."""
_FINEST: Final = 8
"""Workers of the weakest node at most, and of the strongest for one of the weakest."""


def node_of_each_worker(capacities: Mapping[str, float], *, at_least: int, multiple_of: int = 1) -> list[str]:
    """Return the node of each worker, in the order of their indices.

    Each node gets at least one worker, and the workers of a node are spread evenly over the indices.

    Args:
        capacities: Node to what it can offer, in any unit, > 0; at least one node.
        at_least: Number of workers that the rate needs.
        multiple_of: The number of workers is a multiple of it.
    """
    counts = _proportional(capacities)
    total = sum(counts.values())
    rounds = -(-at_least // total)
    while rounds * total % multiple_of:
        rounds += 1
    return _interleaved({node: count * rounds for node, count in counts.items()})


def _proportional(capacities: Mapping[str, float]) -> dict[str, int]:
    """Return the smallest whole numbers that are close enough to the proportions of the capacities."""
    unit = max(min(capacities.values()), max(capacities.values()) / _FINEST)
    candidates = [
        {node: max(1, round(scale * capacity / unit)) for node, capacity in capacities.items()}
        for scale in range(1, _FINEST + 1)
    ]
    good = (counts for counts in candidates if _excess(counts, capacities) <= _EXCESS)
    return next(good, None) or min(candidates, key=lambda counts: _excess(counts, capacities))


def _excess(counts: Mapping[str, int], capacities: Mapping[str, float]) -> float:
    """Return the largest share of the workers, as a multiple of the node's share of the capacity."""
    each = sum(capacities.values()) / sum(counts.values())
    return max(count * each / capacities[node] for node, count in counts.items())


def _interleaved(counts: Mapping[str, int]) -> list[str]:
    """Return each node as often as its count says, evenly spread."""
    places = (
        ((number + 0.5) / count, order, node)
        for order, (node, count) in enumerate(counts.items())
        for number in range(count)
    )
    return [node for _, _, node in sorted(places)]
