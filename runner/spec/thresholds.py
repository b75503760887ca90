"""Pass or fail: ``duration.p95 < 50ms`` as data."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Threshold(BaseModel):
    """One comparison of a metric with a bound.

    `metric` is a dotted path such as ``duration.p95``, ``achieved``, ``errors``, ``cpu.app.avg``.
    `bound` is in the metric's unit in results.json: milliseconds, requests per second, cores,
    MiB, or a fraction (``99%`` is 0.99).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    expr: str
    metric: str
    op: Literal["<", "<=", ">", ">=", "=="]
    bound: float
