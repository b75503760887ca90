"""How many worker processes a stage needs."""

from __future__ import annotations

import math
import os
from typing import Final

from runner.core.errors import EnvironmentLacks
from runner.load.engine import LoadOrder
from runner.load.expected_rate import expected_rate

_RATE_PER_WORKER: Final = 40_000
_HANDSHAKES_PER_WORKER: Final = 500  # a full TLS handshake costs the client 0.9 ms of CPU
_USERS_PER_WORKER: Final = 1000


def worker_count(order: LoadOrder, targets: int = 1, cores: int | None = None) -> int:
    """Return the number of worker processes.

    ``auto`` is one per 40,000 requests (500 TLS handshakes) a second, at most one per core. Workers send in
    turn and each connects to one address, so there are equally many for each address.

    Args:
        order: The stage.
        targets: Number of addresses.
        cores: Of the machines that workers run on; None for those of this one.

    Raises:
        EnvironmentLacks: The specification allows fewer requests in flight than there are addresses.
    """
    if targets > order.load.max_in_flight:
        raise EnvironmentLacks(
            f"load.max_in_flight is {order.load.max_in_flight}, but {order.endpoint.host} has {targets} "
            "addresses",
            hint="topology.resolve: all needs at least one request in flight per address",
        )
    rounds = math.ceil(_workers_for_the_rate(order, cores or os.cpu_count() or 1) / targets)
    return targets * max(1, min(rounds, order.load.max_in_flight // targets))


def _workers_for_the_rate(order: LoadOrder, cores: int) -> int:
    if order.load.workers != "auto":
        return min(order.load.workers, order.load.max_in_flight)
    if order.stage.most_users:
        needed = math.ceil(order.stage.most_users / _USERS_PER_WORKER)
        return max(1, min(needed, cores))
    handshake_each = order.endpoint.tls is not None and order.load.connection == "new"
    needed = math.ceil(
        expected_rate(order.load, order.stage)
        / (_HANDSHAKES_PER_WORKER if handshake_each else _RATE_PER_WORKER)
    )
    return max(1, min(needed, cores, order.load.max_in_flight))
