"""What is called the limit in a short sentence, and which part of the system that is."""

from __future__ import annotations

from typing import Final

from runner.analyze.failure_kinds import also_named, failure_kinds
from runner.core.codes import Limit, Role, RoleName, is_service
from runner.core.metrics import lost_share, lost_share_of_scenarios
from runner.core.stage_results import Stage
from runner.report import number_format
from runner.report.metric_text import role_name

_PHRASES: Final = {
    Limit.GENERATOR: "the load generator",
    Limit.HOST_CPU: "the host’s CPU",
    Limit.APP_CPU: "the app’s CPU",
    Limit.APP_QUOTA: "the app’s CPU quota",
    Limit.PROXY_CPU: "the proxy’s CPU",
    Limit.FORWARDER: "docker-proxy",
    Limit.CONNECTION: "setting up connections",
    Limit.APP_CONCURRENCY: "how many requests the app handles at once",
    Limit.MEMORY: "memory",
    Limit.IO: "the disk",
}
_ROLES: Final = {
    Limit.GENERATOR: Role.GENERATOR,
    Limit.HOST_CPU: Role.SYSTEM,
    Limit.APP_CPU: Role.APP,
    Limit.APP_QUOTA: Role.APP,
    Limit.APP_CONCURRENCY: Role.APP,
    Limit.PROXY_CPU: Role.PROXY,
    Limit.FORWARDER: Role.FORWARDER,
}


def limit_phrase(stage: Stage) -> str:
    """Return what limits a stage: ``the app’s CPU``; empty where no limit is known."""
    verdict = stage.verdict
    on_node = f" on {verdict.node}" if verdict.node else ""
    if verdict.code is Limit.SERVICE:
        return f"{verdict.service or 'a service'}{on_node}"
    if verdict.code is Limit.POOL:
        return f"the pool of connections to {verdict.service or 'a service'}"
    if verdict.code is Limit.APP_CONCURRENCY and verdict.service:
        return f"the response time of {verdict.service}"
    phrase = _PHRASES.get(verdict.code, "")
    return f"{phrase}{on_node}" if phrase else ""


def limiting_role(stage: Stage) -> RoleName:
    """Return whose CPU a reader wants to see beside the verdict.

    That of the part that the verdict names; of a limit that is no CPU, and without any, the app's, or the
    whole host's where the app was not observed.
    """
    verdict = stage.verdict
    if verdict.code in {Limit.SERVICE, Limit.POOL} and stage.cpu_cores.get(verdict.service or ""):
        return verdict.service or Role.SYSTEM
    named = _ROLES.get(verdict.code, Role.APP)
    return named if stage.cpu_cores.get(named) else Role.SYSTEM


def part_name(role: RoleName) -> str:
    """Return a role as the title of a figure: ``App CPU``; a service keeps the name that it has."""
    if is_service(role):
        return f"{role} CPU"
    name = "Host" if role == Role.SYSTEM else role_name(role)
    return f"{name[:1].upper()}{name[1:]} CPU"


def error_phrase(stage: Stage) -> str:
    """Return how many were lost, and how: ``3.2 % of the requests fail, mostly with timeout``.

    Server errors are named although most failures are others. Of scenarios, how many did not complete: the
    figure that stands beside the sentence.
    """
    counts, dropped, fail = stage.requests.failures, stage.requests.dropped, "requests fail"
    share = lost_share(stage)
    if runs := stage.scenarios:
        counts, dropped, fail = runs.failures, runs.dropped, "scenarios do not complete"
        share = lost_share_of_scenarios(stage)
    phrase = f"{number_format.share(share)} of the {fail}"
    kinds = failure_kinds(counts, stage.requests.statuses or {})
    if dropped > sum(counts.values()):
        return ", ".join([f"{phrase} or are dropped", *also_named(kinds)])
    if len(kinds) < 2:
        return f"{phrase}{''.join(f' with {kind}' for kind in kinds)}"
    main = next(iter(kinds))
    return f"{phrase}, {number_format.listed([f'mostly with {main}', *also_named(kinds, main)])}"
