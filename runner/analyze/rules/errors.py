"""The rules for request outcomes: success, responses that are no success, and requests never sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from runner.analyze.failure_kinds import also_named, failure_kinds
from runner.analyze.rules.error_share import too_few_errors
from runner.analyze.rules.generator import generator_unable
from runner.analyze.rules.parts import word
from runner.analyze.rules.scenarios import failed_scenarios
from runner.analyze.rules.service_statistics import full_service
from runner.analyze.rules.types import CPU_LIMITS, OF_SERVICES, OWN_BOUND, Judgement, Match, Rule
from runner.analyze.silence import Silence, silence
from runner.core.codes import Confidence, Limit
from runner.core.findings import Evidence, Finding, RuledOut
from runner.core.limits import ACHIEVED, TOLERATED_ERRORS
from runner.core.measured import Requests
from runner.core.metrics import lost_share
from runner.core.node_results import NodeResults
from runner.core.stage_results import Stage
from runner.core.status_advice import check_request, stage_advice

_MOST_FAILED: Final = 0.5
_TOO_MANY: Final = "429"
_OF_ONE: Final = 0.9
"""Share of the refused requests from which those of one kind are named as their source; our own bound."""
_SMALL_PART: Final = 0.75
_SHOWN: Final = 8
_NODES_SHOWN: Final = 3
_REFUSED: Final = frozenset(
    {
        "bad_status", "bad_header", "bad_body", "extract_failed", "bad_redirect", "too_many_steps",
        "protocol", "closed_early", "connect_refused", "reset",
    }
)  # fmt: skip
_CLOSED: Final = frozenset({"closed_early", "reset"})
_ADVICE: Final = "{}, then read the service's log for these requests"
_SILENT_ADVICE: Final = "read the service's log for these seconds: it may have stopped, restarted or hung"
_CLOSED_ADVICE: Final = (
    "the server closed connections without a response: read its log for these requests; if it closes idle "
    "connections, raise its keep-alive timeout; if it has no room for more, raise its limit (such as "
    "worker_connections of nginx)"
)


_CHECK_NODES: Final = "check {} (power, network, its engine's log), then run the stage again"
_CHECK_COMMON: Final = (
    "check what these nodes share: the hub, and the manager on which it runs (power, network, its engine's "
    "log); then run the stage again"
)


def generator_limited(stage: Stage, cores: int | None) -> Finding:
    """Return the finding for a stage that is invalid because of the generator.

    Args:
        stage: The stage.
        cores: Of the runner's own machine; None if unknown.
    """
    if lost := [node for node in stage.nodes if node.load and node.load.lost]:
        reasons = {node.load.lost for node in lost if node.load}
        makers = sum(node.load is not None for node in stage.nodes)
        return _generator_lost(lost, together=len(lost) == makers > 1 == len(reasons))
    return generator_unable(stage, cores)


def _generator_lost(lost: Sequence[NodeResults], *, together: bool) -> Finding:
    """Return the finding for a stage in which nodes that made load were lost.

    Args:
        lost: These nodes.
        together: Whether all that made load were lost for one reason, such as the end of their hub.
    """
    names = [node.name for node in lost]
    missing = sum(node.load.not_offered for node in lost if node.load)
    others = f" and {len(names) - _NODES_SHOWN} more" if len(names) > _NODES_SHOWN else ""
    where = f"{', '.join(names[:_NODES_SHOWN])}{others}"
    return Finding(
        Limit.GENERATOR,
        Confidence.PROVEN,
        f"the load generator on {where} was lost{' at once' if together else ''}, so the stage says nothing "
        "about the service",
        (Evidence("requests not offered or without a known end", missing, "requests"),),
        _CHECK_COMMON if together else _CHECK_NODES.format(where),
        node=names[0] if len(names) == 1 else UNSET,
    )


def within_capacity(stage: Stage) -> Finding | None:
    """Return the finding for a stage that achieved its target, as did each request; None for others."""
    achieved, lost = stage.achieved, lost_share(stage)
    if achieved is None or achieved < ACHIEVED or lost is None or lost >= TOLERATED_ERRORS:
        return None
    if any((lost_share(part) or 0.0) >= TOLERATED_ERRORS for part in stage.request_parts.values()):
        return None
    summary = "the service kept up with the offered rate"
    if stage.scenarios:
        summary += " of users"
    reached = Evidence("achieved", achieved * 100, "%", ACHIEVED * 100, OWN_BOUND)
    return Finding(
        Limit.WITHIN_CAPACITY,
        Confidence.PROVEN,
        summary,
        (reached, Evidence("failed or dropped", lost * 100, "%", TOLERATED_ERRORS * 100, OWN_BOUND)),
        f"increase the offered rate{' of users' if stage.scenarios else ''} to find the limit",
    )


def _judge(stage: Stage, cores: int | None) -> Judgement:
    """Match if many requests were refused or got an invalid response, of all or of one in a mix.

    Users that got no successful response for a while send few requests then, so their time counts instead.
    """
    del cores
    if not stage.requests.scheduled:
        return None
    if silent := silence(stage):
        return _silent(silent)
    found = _judge_counts(stage)
    full = isinstance(found, Match) and found.finding.service
    too_few = "" if full else too_few_errors(stage, _REFUSED)
    if not isinstance(found, Match) or not too_few:
        return found
    weak = replace(found.finding, confidence=Confidence.HINT, summary=f"{found.finding.summary}{too_few}")
    return Match(weak, explains=False)


def _judge_counts(stage: Stage) -> Judgement:
    name, requests = _refused_most(stage)
    failures = _refused(requests)
    total, scheduled = sum(failures.values()), requests.scheduled
    which = f"requests {name}" if name else "requests"
    summary = f"{total:,} of {scheduled:,} {which} were refused or got an invalid response"
    if total < TOLERATED_ERRORS * scheduled:
        return failed_scenarios(stage, _REFUSED) or RuledOut(Limit.ERROR, summary)
    worst = max(failures, key=lambda kind: failures[kind])
    statuses = sorted((requests.statuses or {}).items(), key=lambda item: -item[1])
    status = statuses[0][0] if statuses and worst == "bad_status" else ""
    full = full_service(stage) if status.startswith("5") or worst in _CLOSED else None
    return Match(
        Finding(
            Limit.ERROR,
            Confidence.PROVEN if total >= _MOST_FAILED * scheduled else Confidence.LIKELY,
            f"{summary}, {_mostly(failures, requests.statuses or {})}{_of_one_request(stage, name)}",
            (
                *(Evidence(kind, count, "requests") for kind, count in sorted(failures.items())),
                *(Evidence(f"status {code}", count, "responses") for code, count in statuses[:_SHOWN]),
                *_by_request(stage),
                *(full.evidence if full else ()),
            ),
            full.advice if full else _advice(stage, name, worst, status),
            word(full.service) if full else UNSET,
        )
    )


def _mostly(failures: Mapping[str, int], statuses: Mapping[str, int]) -> str:
    """Return how most requests failed, or all: ``most often with status 302, and 41 with status 500``."""
    kinds = failure_kinds(failures, statuses)
    main = next(iter(kinds))
    also = also_named(kinds, main)
    return f"{'all' if len(kinds) < 2 else 'most often'} with {main}{''.join(f', and {one}' for one in also)}"


def _silent(silent: Silence) -> Match:
    evidence = Evidence("without a successful response", silent.length_s, "s")
    confidence = Confidence.PROVEN if silent.share >= _MOST_FAILED else Confidence.LIKELY
    return Match(Finding(Limit.ERROR, confidence, str(silent), (evidence,), _SILENT_ADVICE))


def _advice(stage: Stage, request: str, kind: str, status: str) -> str:
    """Return what to do about the most frequent failure, of one request of a mix if only that one has it."""
    if status:
        by_proxy = status.startswith("5") or status == _TOO_MANY
        return stage_advice(stage, status, request=request) + (_logged(stage) if by_proxy else "")
    if kind in _CLOSED:
        return f"{_CLOSED_ADVICE}{_logged(stage)}"
    counts = {name: part.requests.failures.get(kind, 0) for name, part in stage.request_parts.items()}
    most = max(counts, key=lambda name: counts[name], default="")
    return _ADVICE.format(check_request(request or most, kind))


def _logged(stage: Stage) -> str:
    """Return the proxy's last error, as the end of a sentence; empty without any."""
    return f"; the proxy's error log ends with: {stage.proxy_errors[-1]}" if stage.proxy_errors else ""


def _refused_most(stage: Stage) -> tuple[str, Requests]:
    """Return all requests if many of them were refused, else the one of a mix with the highest share."""
    parts = [(name, part.requests) for name, part in stage.request_parts.items() if part.requests.scheduled]
    if not parts or _refused_share(stage.requests) >= TOLERATED_ERRORS:
        return "", stage.requests
    worst = max(parts, key=lambda part: _refused_share(part[1]))
    return worst if _refused_share(worst[1]) >= TOLERATED_ERRORS else ("", stage.requests)


def _refused_share(requests: Requests) -> float:
    return sum(_refused(requests).values()) / requests.scheduled


def _refused(requests: Requests) -> dict[str, int]:
    return {kind: count for kind, count in requests.failures.items() if kind in _REFUSED and count}


def _of_one_request(stage: Stage, named: str) -> str:
    """Return that nearly all refused requests of a mix are of one kind, which is a small part of it."""
    total, scheduled = sum(_refused(stage.requests).values()), stage.requests.scheduled
    if named:
        return ""
    for name, part in stage.request_parts.items():
        refused = sum(_refused(part.requests).values())
        if refused >= _OF_ONE * total and part.requests.scheduled <= _SMALL_PART * scheduled:
            return f"; {'all' if refused == total else f'{refused:,}'} of them are requests {name}"
    return ""


def _by_request(stage: Stage) -> tuple[Evidence, ...]:
    """Return the requests of a mix that were refused or got an invalid response most often."""
    refused = {name: sum(_refused(part.requests).values()) for name, part in stage.request_parts.items()}
    worst = sorted(filter(refused.__getitem__, refused), key=lambda name: -refused[name])[:_SHOWN]
    return tuple(Evidence(f"request {name}", refused[name], "requests") for name in worst)


ERRORS: Final = Rule(
    Limit.ERROR,
    _judge,
    follows=frozenset({Limit.CONNECTION, Limit.MEMORY}),
    doubted_by=CPU_LIMITS | OF_SERVICES,  # an app that has no CPU or waits for a service may refuse requests
    of_whole=lambda _: True,
)
