"""In which order the requests of a mix are sent: exact shares, the same in every run.

Which request arrival *k* sends depends on the weights and *k* alone, so that it is the same with any number
of workers and in a run from an archive. After any number of arrivals each request has been chosen ⌊n·share⌋
or ⌈n·share⌉ times. That is the schedule of unit jobs by earliest deadline: job *j* of a request may run from
⌊(j − 1) / share⌋ on and has the deadline ⌈j / share⌉, and one processor that is used fully meets all
deadlines (Liu and Layland, "Scheduling Algorithms for Multiprogramming in a Hard-Real-Time Environment",
1973; with these windows: Baruah et al., "Proportionate Progress", 1996).
"""

from __future__ import annotations

import heapq
import math
from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from fractions import Fraction
from itertools import accumulate, cycle, islice
from typing import Final

MAX_PERIOD: Final = 4096
"""The longest order that is computed once and repeated."""


def order(weights: Sequence[float]) -> Iterator[int]:
    """Yield the index of the request of each arrival, without end.

    Args:
        weights: One per request, each above 0; only their proportions matter.
    """
    shares = _whole(weights)
    if len(shares) == 1:
        return cycle((0,))
    if sum(shares) <= MAX_PERIOD:
        return cycle(tuple(islice(_by_deadline(shares), sum(shares))))
    return _by_deadline(shares)


def period(weights: Sequence[float]) -> int:
    """Return after how many arrivals the order repeats."""
    return sum(_whole(weights))


def earlier_uses(weights: Sequence[float], users: Collection[int]) -> Callable[[int], int]:
    """Return a function from an arrival's number to how many arrivals before it send one of some requests.

    Args:
        weights: One per request; the order repeats after at most `MAX_PERIOD` unless all requests are meant.
        users: The indices of these requests.
    """
    if len(users) == len(weights):
        return _identity
    length = period(weights)
    before = array("I", [0])
    for index in islice(order(weights), length):
        before.append(before[-1] + (index in users))
    per_round = before[-1]
    return lambda k: k // length * per_round + before[k % length]


def earlier_uses_of_users(
    weights: Sequence[float], using: Collection[int], most: int
) -> Callable[[int], int]:
    """Return what `earlier_uses` does for users: *u* sends the order of the mix from its place *u* on.

    Args:
        weights: One per request.
        using: The indices of the requests that are meant.
        most: The largest number of users; request *n* of user *u* is arrival ``n · most + u``.
    """
    if len(using) == len(weights):
        return _identity
    uses, length = earlier_uses(weights, using), period(weights)
    sums = list(accumulate(map(uses, range(length)), initial=0))

    def summed(count: int) -> int:
        """Return the sum of `uses` below a number."""
        rounds, rest = divmod(count, length)
        full = uses(length) * (length * (rounds * (rounds - 1) // 2) + rounds * rest)
        return full + rounds * sums[length] + sums[rest]

    def rank(k: int) -> int:
        n, user = divmod(k, most)
        return summed(n + most) - summed(most) - summed(n) + uses(n + user) - uses(n)

    return rank


def _identity(k: int) -> int:
    return k


class Choices:
    """`order` with access to any arrival, in two bytes per arrival up to the order's period.

    Args:
        weights: As of `order`.
    """

    def __init__(self, weights: Sequence[float]) -> None:
        self._coming = order(weights)
        self.period = period(weights)
        self.known = array("H")

    def __getitem__(self, arrival: int) -> int:
        """Return the index of an arrival's request."""
        place = arrival % self.period
        while place >= len(self.known):
            self.known.extend(islice(self._coming, min(self.period, MAX_PERIOD)))
        return self.known[place]


def _whole(weights: Sequence[float]) -> list[int]:
    """Return weights as the smallest whole numbers in the same proportions; 0.1 is a tenth."""
    exact = [Fraction(str(weight)) for weight in weights]
    scale = math.lcm(*(weight.denominator for weight in exact))
    numbers = [int(weight * scale) for weight in exact]
    common = math.gcd(*numbers)
    return [number // common for number in numbers]


def _by_deadline(shares: Sequence[int]) -> Iterator[int]:
    """Yield which job runs at each instant, by earliest deadline."""
    total = sum(shares)
    done = [0] * len(shares)
    released: list[tuple[int, int]] = []
    coming = [(0, index) for index in range(len(shares))]  # already a heap
    now = 0
    while True:
        while coming and coming[0][0] <= now:
            _, index = heapq.heappop(coming)
            deadline = -(-(done[index] + 1) * total // shares[index])
            heapq.heappush(released, (deadline, index))
        _, index = heapq.heappop(released)
        done[index] += 1
        heapq.heappush(coming, (done[index] * total // shares[index], index))
        yield index
        now += 1
