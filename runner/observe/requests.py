"""Requests by replica, from the app's own counter: the balance between replicas, which no client sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from prometheus_client import Metric

from runner.observe.bounds import as_float, out_of_range

_EXCLUDED: Final = ("/metrics", "/healthz")


def requests_total(families: Iterable[Metric]) -> float | None:
    """Return the sum of a service's request counter, without health checks and scrapes.

    The counter is the first family whose name ends in ``requests_total``, as the client libraries' own HTTP
    metrics do. None if there is none, or its value is out of bounds.
    """
    for family in families:
        if family.type == "counter" and family.name.endswith("requests"):
            samples = [sample for sample in family.samples if sample.name.endswith("_total")]
            total = sum(as_float(sample.value) for sample in samples if not _is_excluded(sample.labels))
            return None if out_of_range(total) else total
    return None


def _is_excluded(labels: Mapping[str, str]) -> bool:
    return any(labels.get(key) in _EXCLUDED for key in ("path", "handler", "route", "uri"))


def requests_in_window(
    totals: Mapping[str, Sequence[float | None]],
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the requests of each replica in the measured window, and why some replicas are missing.

    Args:
        totals: Replica's name to its counter at both ends of the window; shorter if a reading failed.
    """
    requests: dict[str, int] = {}
    notes: list[str] = []
    for name, readings in totals.items():
        known = [total for total in readings if total is not None]
        if len(known) != 2:
            notes.append(f"the request counter of {name} could not be read")
        elif known[1] < known[0]:
            notes.append(f"the request counter of {name} decreased, so the service was restarted")
        else:
            requests[name] = round(known[1] - known[0])
    return requests, tuple(notes)
