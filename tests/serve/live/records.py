"""Records as a run writes them, and a process that serves their page."""

from __future__ import annotations

import http.client
import json
import time
from urllib.parse import urlsplit

from runner.core.live import (
    PartSecond,
    PlannedTrial,
    Probe,
    RunBegins,
    Second,
    TrialBegins,
    TrialEnds,
)
from runner.core.live_ends import P95, PartEnds
from runner.store.live_file import own_process

FIND = "find up to 800 RPS"


def beginning(process=None) -> RunBegins:
    plan = (
        PlannedTrial(1, "one", "100 RPS", "100 RPS", 0.0, 60.0),
        PlannedTrial(2, "one", FIND, "800 RPS", 0.0, 10.0, search=True, orders=6),
    )
    return RunBegins(
        "<b>shop</b>", "20261129T200000Z-1", "2026-11-29T20:00:00+00:00", *(process or own_process()), plan, 7
    )


def trial(number=1, stage="100 RPS", *, search=False) -> TrialBegins:
    return TrialBegins(
        time.time(), number, 7, f"one · {stage}", "one", stage, 0.0, 60.0, "open", search=search
    )


def second(t_s, *, failures=None) -> Second:
    parts = {name: PartSecond(50.0, 50, 50, 4.0) for name in ("home", "cart")}
    return Second(
        time.time(), float(t_s), 100.0, 100.0, None, 100, 100, 2.0, 4.0, 8.0, failures or {}, 1, None, None,
        {"app": 0.5, "db": 0.3, "system": 1.2}, {"app": 2**24}, parts,
    )  # fmt: skip


def stage_of(number, seconds, **how):
    """Yield the records of one whole trial."""
    yield trial(number, **how)
    for t_s in range(1, seconds + 1):
        yield second(t_s, failures={"timeout": 2} if t_s % 2 else None)
    parts = {name: PartEnds(50 * seconds, rps=50.0, p95=P95(ms=4.0)) for name in ("home", "cart")}
    counts = (100 * seconds, seconds, 100.0)
    yield TrialEnds(
        time.time(), number, "complete", *counts, P95(ms=4.0), failures={"timeout": seconds}, parts=parts
    )


def probes():
    """Yield the records of a search that tried three rates and is at the fourth."""
    results = [(100, True, ""), (400, False, "p95 was 90 ms (required: < 50 ms)"), (200, None, "disturbed")]
    for number, (rate, passed, why) in enumerate(results, start=2):
        yield from stage_of(number, 2, stage=f"find {rate} RPS", search=True)
        yield Probe(time.time(), number, "one", FIND, rate, passed, "RPS", why)
    yield trial(5, "find 210 RPS", search=True)
    yield second(1)


class Stream:
    """A viewer of a stream of events."""

    def __init__(self, page_url, last_id=""):
        address = urlsplit(page_url)
        self._connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
        headers = {"Last-Event-ID": last_id} if last_id else {}
        events = address.path.replace("/live/", "/live-events/", 1)
        self._connection.request("GET", events, headers=headers)
        self._response = self._connection.getresponse()
        assert self._response.status == 200
        self.last_id = ""
        self.kinds = []

    def until(self, is_last):
        """Return all records until an event, given by kind and data, is the last one."""
        records = []
        kind = ""
        for raw in self._response:
            name, _, value = raw.decode().rstrip("\n").partition(": ")
            if name == "id":
                self.last_id = value
            elif name == "event":
                kind = value
                self.kinds.append(kind)
            elif name == "data":
                data = json.loads(value)
                records += data if kind == "records" else []
                if is_last(kind, data):
                    return records
        raise AssertionError(f"the stream has ended after {self.kinds}")

    def until_state(self, state):
        return self.until(lambda kind, data: kind == "state" and data["state"] == state)

    def close(self):
        self._response.close()
        self._connection.close()
