"""How many requests each replica says it answered: the balance that no client can see."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx
import trio
from prometheus_client.parser import text_string_to_metric_families

from runner.core.facts import Window
from runner.core.units import NS_PER_S, Nanoseconds
from runner.observe.http import plain_client

_TIMEOUT_S: Final = 3.0
_ASIDE: Final = ("/metrics", "/healthz")


@dataclass(slots=True)
class RequestCounter:
    """Reads every replica's request counter at both ends of the measured window.

    Attributes:
        urls: Replica's name to the URL of its metrics.
        window: The trial's parts.
        requests: Replica's name to requests in the window, once `count` has returned.
        notes: Why some replicas are missing.
    """

    urls: Mapping[str, str]
    window: Window
    requests: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    async def count(self) -> None:
        """Wait for both ends and compare; never raises."""
        if not self.urls:
            return
        before = await self._read_at(self.window.measure_ns)
        after = await self._read_at(self.window.end_ns)
        for name in self.urls:
            first, last = before.get(name), after.get(name)
            if first is None or last is None:
                self.notes.append(f"the request counter of {name} could not be read")
            elif last < first:
                self.notes.append(f"the request counter of {name} went back, so it was restarted")
            else:
                self.requests[name] = round(last - first)

    async def _read_at(self, instant_ns: Nanoseconds) -> dict[str, float]:
        """Every counter at an instant; replicas that do not answer are absent."""
        found: dict[str, float] = {}

        async def read(name: str, url: str) -> None:
            value = await _counter(client, url)
            if value is not None:
                found[name] = value

        async with plain_client(_TIMEOUT_S) as client:
            await trio.sleep(max(0.0, (instant_ns - time.monotonic_ns()) / NS_PER_S))
            async with trio.open_nursery() as nursery:
                for name, url in self.urls.items():
                    nursery.start_soon(read, name, url)
        return found


async def _counter(client: httpx.AsyncClient, url: str) -> float | None:
    try:
        answer = await client.get(url)
        return requests_total(answer.text) if answer.is_success else None
    except (httpx.HTTPError, ValueError):
        return None


def requests_total(text: str) -> float | None:
    """The sum of a service's request counter; health checks and scrapes are left out.

    Args:
        text: Prometheus text format. The counter is the first family whose name ends in
            ``requests_total``, as the client libraries' own HTTP metrics do.

    Returns:
        None when there is no such counter.

    Raises:
        ValueError: This is not the text format.
    """
    for family in text_string_to_metric_families(text):
        if family.type == "counter" and family.name.endswith("requests"):
            samples = [each for each in family.samples if each.name.endswith("_total")]
            return float(sum(each.value for each in samples if not _is_aside(each.labels)))
    return None


def _is_aside(labels: Mapping[str, str]) -> bool:
    return any(labels.get(key) in _ASIDE for key in ("path", "handler", "route", "uri"))
