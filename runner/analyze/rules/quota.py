"""The rule for the app's CPU quota, and what the proxy's own quota shows."""

from __future__ import annotations

from typing import Final

from runner.analyze.rules.cpu_bounds import THROTTLED, throttled_evidence, throttled_shares
from runner.analyze.rules.types import Judgement, Match, Rule
from runner.core.codes import Confidence, Limit, Role
from runner.core.findings import Finding, RuledOut
from runner.core.stage_results import Stage
from runner.core.units import percent

_RAISE: Final = "raise its CPU limit ({}cpus of its service in a compose file), or {}"


def _judge(stage: Stage, cores: int | None) -> Judgement:
    """Match if a container of the app used up its CPU quota and had to wait, however idle the host was."""
    del cores
    shares = throttled_shares(stage, Role.APP)
    if not shares:
        watched = stage.cpu_cores.get(Role.APP) is not None
        return RuledOut(Limit.APP_QUOTA, "no CPU limit was set") if watched else None
    worst = max(shares.values())
    if worst <= THROTTLED:
        why = f"the CPU limit throttled the app in {percent(worst)} of the periods"
        return RuledOut(Limit.APP_QUOTA, why)
    return Match(
        Finding(
            Limit.APP_QUOTA,
            Confidence.LIKELY,
            f"its CPU limit throttled the app in {percent(worst)} of the periods in which it wanted to run",
            throttled_evidence(shares),
            _RAISE.format("topology.app.cpus, or ", "add a replica"),
        )
    )


def quota_of_proxy(stage: Stage) -> Match | None:
    """Return a match if the CPU quota of the proxy's container stopped it."""
    shares = throttled_shares(stage, Role.PROXY)
    worst = max(shares.values(), default=0.0)
    if worst <= THROTTLED:
        return None
    return Match(
        Finding(
            Limit.PROXY_CPU,
            Confidence.LIKELY,
            f"its CPU limit throttled the proxy in {percent(worst)} of the periods in which it wanted to run",
            throttled_evidence(shares),
            _RAISE.format("", "let it do less for each request (compression, TLS, new connections)"),
        )
    )


QUOTA: Final = Rule(Limit.APP_QUOTA, _judge)
