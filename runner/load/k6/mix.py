"""Which request each of k6's iterations sends: the order of `runner.core.mix`, which repeats (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Final

from runner.core import mix
from runner.experiment.k6_limits import period
from runner.experiment.model import Load


@dataclass(frozen=True, slots=True)
class Mix:
    """A mix of requests.

    Attributes:
        names: Of its requests; empty for a single one.
        order: Index of the request of each arrival; repeats after the last one.
    """

    names: tuple[str, ...]
    order: tuple[int, ...]

    def count(self, name: str, arrivals: int) -> int:
        """Return how many of the first arrivals send a request."""
        rounds, rest = divmod(arrivals, len(self.order))
        index = self.names.index(name)
        return rounds * self.order.count(index) + self.order[:rest].count(index)

    def share(self, name: str) -> float:
        """Return the share of a request, 0 to 1."""
        return self.order.count(self.names.index(name)) / len(self.order)


SINGLE: Final = Mix((), (0,))


def mix_of(load: Load) -> Mix:
    """Return the mix of a load that `runner.experiment.k6_limits` accepts."""
    if not load.is_mix:
        return SINGLE
    weights = [part.weight for part in load.parts]
    order = tuple(islice(mix.order(weights), period(weights)))
    return Mix(tuple(part.name for part in load.parts), order)
