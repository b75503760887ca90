"""Results of request mixes, made from a stored run: each stage is divided into named requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import UNSET
from msgspec.structs import asdict, replace

from runner.core.codes import Unbounded
from runner.core.load_results import RequestShare
from runner.core.measured import Latency, Measured, Part, Requests
from runner.core.results import Results
from runner.core.stage_results import Stage
from tests.report.stored_results import stored

SHOP = {"search": 60.0, "view": 25.0, "add-to-cart": 10.0, "order": 5.0}


def mix(name: str = "single-process", weights: Mapping[str, float] = SHOP, *, lossy: str = "") -> Results:
    """Return a stored run as if it had sent these requests; a tenth of `lossy` failed, another is dropped.

    The nth request is n times as slow as the whole stage.
    """
    results = stored(name)
    changed = []
    for configuration in results.configurations:
        load = replace(configuration.load, request=None, requests=_shares(weights))
        stages = tuple(with_parts(stage, weights, lossy) for stage in configuration.stages)
        changed.append(replace(configuration, load=load, stages=stages))
    return replace(results, configurations=tuple(changed))


def many(number: int) -> dict[str, float]:
    """Return weights of many requests with long names."""
    return {
        f"request-{n:02}-of-the-catalogue-with-a-rather-long-name": float(n) for n in range(1, number + 1)
    }


def with_parts(stage: Stage, weights: Mapping[str, float], lossy: str = "") -> Stage:
    """Return a stage divided into requests."""
    total = sum(weights.values())
    parts = {
        name: _part(stage, weight / total, slower=n, lossy=name == lossy)
        for n, (name, weight) in enumerate(weights.items(), start=1)
    }
    return replace(stage, parts=parts)


def _shares(weights: Mapping[str, float]) -> Sequence[RequestShare]:
    total = sum(weights.values())
    return tuple(RequestShare(name, "GET", f"/{name}", weight / total) for name, weight in weights.items())


def _part(stage: Stage, share: float, *, slower: int, lossy: bool) -> Part:
    whole = {name: getattr(stage, name) for name in Measured.__struct_fields__}
    latencies = {
        name: _slower(value, slower, lossy=lossy)
        for name, value in whole.items()
        if isinstance(value, Latency)
    }
    requests = _lossy(stage.requests, share) if lossy else _of(stage.requests, share)
    rps = None if stage.actual_rps is None else round(stage.actual_rps * share, 4)
    rates = {"requests": requests, "actual_rps": rps, "target_rps": round(stage.target_rps * share, 6)}
    return Part(**(whole | latencies | rates | {"distribution": None}))


def _slower(latency: Latency, times: int, *, lossy: bool) -> Latency:
    values = {
        name: value * times if isinstance(value, float) else value for name, value in asdict(latency).items()
    }
    beyond = {"p95": Unbounded.LOST, "p99": Unbounded.LOST, "p999": Unbounded.LOST} if lossy else UNSET
    return Latency(**(values | (dict.fromkeys(beyond) if lossy else {}) | {"unbounded": beyond}))


def _of(requests: Requests, share: float) -> Requests:
    scheduled = round(requests.scheduled * share)
    return Requests(scheduled, scheduled, scheduled, 0, 0, {})


def _lossy(requests: Requests, share: float) -> Requests:
    scheduled = round(requests.scheduled * share)
    lost = scheduled // 10
    failures = {"bad_status": lost - 1, "timeout": 1}
    return Requests(scheduled, scheduled - lost, scheduled - 2 * lost, lost, lost, failures)
