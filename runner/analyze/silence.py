"""Seconds in which users got no successful response.

In the closed model, users that wait for a service or pause after a failure send hardly any request, so the
counts of a service that stood still for most of the window show few failures and short latencies.
"""

from __future__ import annotations

from itertools import groupby
from typing import NamedTuple

from runner.core.stage_results import Stage
from runner.core.units import Seconds


class Silence(NamedTuple):
    """Whole seconds of the window without a successful response.

    Attributes:
        length_s: All of them together.
        begin_s: The start of the first, after the window's start.
        window_s: Length of the window.
    """

    length_s: Seconds
    begin_s: Seconds
    window_s: Seconds

    @property
    def share(self) -> float:
        """Share of the window, 0 to 1."""
        return self.length_s / self.window_s

    def __str__(self) -> str:
        silent = f"there was no successful response for {self.length_s:g} s of {self.window_s:g} s"
        return f"{silent}, from second {self.begin_s:g} on"


def silence(stage: Stage) -> Silence | None:
    """Return the seconds without a success that no response time explains; None without any.

    The longest successful response explains as many seconds in succession as it took; of scenarios, whose
    users pause, the longest run. None, too, of a stage in which nothing succeeded, whose counts say so, and
    of the open model, where requests come due all the time.
    """
    if stage.users is None or not stage.requests.succeeded:
        return None
    longest_ms = stage.scenario_duration_ms.max if stage.scenarios else stage.duration_ms.max
    if longest_ms is None and stage.scenarios:
        return None
    explained_s = (longest_ms or 0.0) / 1000
    moments = [moment for moment in stage.timeseries if 0 < moment.t_s <= stage.window_s]
    runs = [list(run) for silent, run in groupby(moments, lambda moment: moment.rps == 0) if silent]
    unexplained = [run for run in runs if len(run) > explained_s]
    if not unexplained:
        return None
    return Silence(float(sum(map(len, unexplained))), unexplained[0][0].t_s - 1, stage.window_s)
