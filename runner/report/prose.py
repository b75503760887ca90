"""Sentences about stages: which may be believed, what they achieved, and what it cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from runner.analyze.failure import failure, lasted_s
from runner.core.codes import Limit, Role, StageStatus, Validity
from runner.core.limits import ACHIEVED, TOLERATED_ERRORS
from runner.core.metrics import lost_share
from runner.core.results import ConfigurationResults, RunInfo
from runner.core.stage_results import Stage
from runner.report import drops, number_format, scenario_prose
from runner.report.doubts import DoubtfulStages, doubtful
from runner.report.headline_thresholds import failed_thresholds_phrase
from runner.report.limit_text import limit
from runner.report.markdown_text import EMPTY, Markdown, code, join, listed, markdown
from runner.report.metric_text import level, level_unit, levels
from runner.report.ramps import crossings
from runner.report.ramps import levels as slice_levels
from runner.report.ruled_out import ruled_out_paragraph
from runner.report.stage_choice import (
    believed,
    constant,
    cut_short,
    limited,
    measured,
    missed,
    sustained,
    undecided,
)
from runner.report.tables import differs

_NOTABLE: Final = 1.3
_FEW: Final = 0.01
_KINDS_SHOWN: Final = 3
_PLACES_NAMED: Final = 4


def title(configuration: ConfigurationResults) -> str:
    """Return what people call a configuration."""
    return configuration.title or configuration.name.replace("-", " ").title()


def warnings(stages: Sequence[Stage]) -> list[Markdown]:
    """Return why some stages may not be believed, in one sentence for all stages with the same reasons."""
    return [
        join(" ", (_reasons(group), *([markdown("{}.", group.remark)] if group.remark else [])))
        for group in doubtful((stage.title, stage) for stage in stages)
    ]


def _reasons(group: DoubtfulStages) -> Markdown:
    return markdown("**{}:** {}.", group.subject, "; ".join(reason.text for reason in group.reasons))


def notes(stages: Sequence[Stage]) -> list[Markdown]:
    """Return what else a reader should know, each note once with the stages that it is about."""
    where: dict[str, list[str]] = {}
    for stage in stages:
        for note in stage.notes:
            where.setdefault(note, []).append(stage.title)
    return [markdown("{}: {}.", _places(titles), note) for note, titles in where.items()]


def _places(titles: Sequence[str]) -> str:
    """Return stages, the first few by name and how many others there are."""
    more = len(titles) - _PLACES_NAMED
    others = [number_format.plural(more, "more stage")] if more > 0 else []
    return number_format.listed([*titles[:_PLACES_NAMED], *others])


def analysis(stages: Sequence[Stage]) -> list[Markdown]:
    """Return paragraphs about the stages of one configuration, a repeated one as its median."""
    ran = measured(stages)
    if not ran:
        return [markdown("No stage was run, so there are no results.")]
    limits = [markdown("**{}:** {}", stage.title, limit(stage)) for stage in limited(ran)]
    rates = constant(ran)
    ramps = [sentence for stage in ran if stage.rate_ramp for sentence in (_ramp(stage), *crossings(stage))]
    users = join(" ", _users([stage for stage in ran if stage.users is not None]))
    whole = (
        _throughput(rates),
        _of_warmup(rates),
        _latency(rates),
        join(" ", ramps),
        users,
        _by_request(ran),
        _perceived(ran),
    )
    excluded = ruled_out_paragraph([(stage.title, stage) for stage in limited(ran)])
    paragraphs = (*whole, *scenario_prose.sentences(ran), _cost(ran), *limits, excluded)
    return [paragraph for paragraph in paragraphs if paragraph]


def _throughput(stages: Sequence[Stage]) -> Markdown:
    good, short = sustained(stages), missed(stages)
    sentences = [_shortfall(stage) for stage in short]
    if good:
        which = "offered rates up to" if short else "every offered rate, up to"
        if short and short[0].rate <= good[-1].rate:  # it is not the rate that decides
            which = f"{len(good)} of {len(stages)} stages, the highest at"
        which = "the offered rate of" if len(stages) == 1 else which
        sentences.insert(0, markdown("The service kept up with {} {}.", which, levels(good[-1])))
    return join(" ", sentences)


def _of_warmup(stages: Sequence[Stage]) -> Markdown:
    """Return how many responses in the window belong to the warm-up, where that makes the rate look high."""
    late = {levels(stage): count for stage in stages if (count := _left_of_warmup(stage))}
    if not late:
        return EMPTY
    counts = listed([markdown("{:,} at {}", count, where) for where, count in late.items()])
    return markdown(
        "Some responses in the window are to requests that were due in the warm-up: at least {}. They count "
        "in the actual RPS, but not in the share achieved.",
        counts,
    )


def _left_of_warmup(stage: Stage) -> int:
    """Return by how many the responses in the window exceed the successes of all that was due in it."""
    if stage.engine != "builtin" or stage.scenarios or stage.status is not StageStatus.COMPLETE:
        return 0
    more = round((stage.actual_rps or 0.0) * stage.window_s) - stage.requests.succeeded
    return more if more > max(1, _FEW * stage.requests.scheduled) else 0


def until_failure(stage: Stage) -> Markdown:
    """Return how a system under test failed, and what it had achieved; empty if it did not fail."""
    why, length_s, requests = failure(stage), lasted_s(stage), stage.requests
    if not why:
        return EMPTY
    if not length_s or not requests.sent:
        return markdown("At {}, {}; no request was measured.", levels(stage), why)
    p95 = stage.duration_ms.p95
    return markdown(
        "At {}, {}. Until then, {:,} of {:,} requests that were sent succeeded ({:rate} per second){}.",
        *(levels(stage), why, requests.succeeded, requests.sent, requests.succeeded / length_s),
        markdown(" with a p95 duration of {:ms} ms", p95) if p95 is not None else EMPTY,
    )


def _shortfall(stage: Stage) -> Markdown:
    if ended := until_failure(stage):
        return markdown("{}{}", ended, _losses(stage))
    if stage.validity.status is Validity.INVALID:
        return _of_invalid(stage)
    reason = why_missed(stage)
    if stage.scenarios:
        return scenario_prose.shortfall(stage, reason)
    return markdown(
        "At {:rate} RPS, the service achieved {:rate} RPS ({:share} of the target){}.{}",
        *(stage.target_rps, stage.actual_rps, stage.achieved, f", but {reason}" if reason else ""),
        _losses(stage),
    )


def _of_invalid(stage: Stage) -> Markdown:
    """Return what was counted in a stage that says nothing about the service."""
    counted, lost = markdown("{:rate} responses per second", stage.actual_rps), _losses(stage)
    if stage.scenarios:
        counted = markdown("{:rate} scenarios per second", stage.scenarios_per_s)
        lost = scenario_prose.losses(stage)
    return markdown(
        "At {}, the measurement is invalid and does not show what the service achieves; {} were counted.{}",
        *(levels(stage), counted, lost),
    )


def why_missed(stage: Stage) -> str:
    """Return why a stage that achieved its rate does not count as sustained; empty where the rate says it."""
    if (stage.achieved or 0.0) < ACHIEVED:
        return ""
    if stage.validity.status is Validity.INVALID:
        return "the measurement is invalid"
    if cut_short(stage):
        return "the stage was aborted before its end"
    if undecided(stage):
        return "the search could not judge it"
    if stage.find and stage.verdict.code is Limit.WITHIN_CAPACITY:
        return "the search’s conditions failed"
    return _why_failed(stage)


def _why_failed(stage: Stage) -> str:
    """Return which share was lost, or how many thresholds failed; empty if neither shows."""
    shares = {f"requests {name}": lost_share(part) or 0.0 for name, part in stage.request_parts.items()}
    shares["all requests"] = lost_share(stage) or 0.0
    worst = max(shares, key=lambda which: shares[which])
    if shares[worst] < TOLERATED_ERRORS and (failed := failed_thresholds_phrase(stage)):
        return failed
    return f"{number_format.share(shares[worst])} of {worst} failed or were dropped" if shares[worst] else ""


def throughput(stage: Stage) -> Markdown:
    """Return the throughput that users got; of a ramp, of the slice where it was highest."""
    known = [part for part in stage.slices if part.actual_rps is not None]
    if not known and stage.scenarios:
        return markdown(
            "With {}, the throughput was {:rate} scenarios per second ({:rate} responses per second)",
            *(levels(stage), stage.scenarios_per_s, stage.actual_rps),
        )
    if not known:
        return markdown(
            "With {}, the throughput was {:rate} responses per second", levels(stage), stage.actual_rps
        )
    best = max(known, key=lambda part: part.actual_rps or 0.0)
    return markdown(
        "In the ramp from {}, the throughput was highest with {} users: {:rate} responses per second",
        *(levels(stage), slice_levels(best), best.actual_rps),
    )


def _users(stages: Sequence[Stage]) -> Iterator[Markdown]:
    """Yield the throughput of each stage with users, and what its latencies mean."""
    for stage in stages:
        lost = scenario_prose.losses(stage) if stage.scenarios else _losses(stage)
        yield markdown("{}.{}", throughput(stage), lost)
        if not stage.slices and stage.duration_ms.p95 is not None:
            yield markdown("The p95 duration was {:ms} ms.", stage.duration_ms.p95)
        yield from crossings(stage)
    if any(stage.scenarios for stage in stages):
        yield markdown(
            "When a user has ended, another one begins (closed model): while the service is slow, fewer "
            "users begin, so a stall looks smaller than it is where users come independently of each other "
            "(coordinated omission)."
        )
    elif stages:
        yield markdown(
            "Each user waits for a response before it sends the next request (closed model). The latencies "
            "are those of waiting users: while the service is slow, fewer requests are sent, so a stall "
            "looks smaller than it is for clients that do not wait (coordinated omission)."
        )


def _ramp(stage: Stage) -> Markdown:
    """Return how much of a ramp the service sustained, and how the latency changed over it."""
    kept = "all" if stage.achieved == 1 else markdown("{:share}", stage.achieved)
    due = markdown("{:,} requests that were", stage.requests.scheduled)
    if stage.scenarios:
        due = markdown("{:,} users who were", stage.scenarios.scheduled)
    sustained = markdown(
        "In the ramp from {}, the service sustained {} of the {} due.{}",
        *(levels(stage), kept, due, scenario_prose.losses(stage) if stage.scenarios else _losses(stage)),
    )
    known = [(part, part.duration_ms.p95) for part in stage.slices if part.duration_ms.p95 is not None]
    if len(known) < 2:
        return sustained
    (low, before), (high, after) = known[0], known[-1]
    at = (level(stage, low.level.mean), after, level(stage, high.level.mean))
    return markdown("{} The p95 duration was {:ms} ms at {}, and {:ms} ms at {}.", sustained, before, *at)


def _losses(stage: Stage) -> Markdown:
    requests = stage.requests
    largest = sorted(requests.failures.items(), key=lambda item: (-item[1], item[0]))[:_KINDS_SHOWN]
    parts = [markdown("{:,} failed with {}", number, code(kind)) for kind, number in largest if number]
    parts = [*drops.phrases(None if stage.scenarios else stage.drops, requests.dropped, "sent"), *parts]
    lost = markdown(" Of the {:,} scheduled requests, {}.", requests.scheduled, listed(parts))
    return markdown("{}{}", lost if parts else EMPTY, drops.left_out(stage))


def _latency(stages: Sequence[Stage]) -> Markdown:
    known = [(stage, stage.duration_ms.p95) for stage in believed(stages) if stage.duration_ms.p95]
    if len(known) < 2 or len({level_unit(stage) for stage, _ in known}) > 1:
        return EMPTY
    (low, before), (high, after) = known[0], known[-1]
    if before < _NOTABLE * after and after < _NOTABLE * before:
        stayed = markdown("The p95 duration stayed near {:ms} ms", after)
        return markdown("{} from {:rate} to {}.", stayed, low.rate, levels(high))
    rose = after > before
    return markdown(
        "The p95 duration {} from {:ms} ms at {} to {:ms} ms at {}{}.",
        *("rose" if rose else "fell", before, levels(low), after, levels(high)),
        f", {number_format.times(after / before)} as high" if rose else "",
    )


def _by_request(stages: Sequence[Stage]) -> Markdown:
    """Return the slowest and the fastest request of a mix, and those that lost most, at the highest rate."""
    mixes = [stage for stage in believed(stages) if len(stage.request_parts) > 1]
    if not mixes:
        return EMPTY
    stage = max(mixes, key=lambda stage: stage.rate)
    return join(" ", filter(None, [_slowest(stage), _lossiest(stage)]))


def _slowest(stage: Stage) -> Markdown:
    parts = stage.request_parts
    p95s = {name: p95 for name, part in parts.items() if (p95 := part.duration_ms.p95) is not None}
    if len(p95s) < 2:
        return EMPTY
    if stage.slices:  # a ramp has no p95 of its own
        return EMPTY
    fast, slow = min(p95s, key=p95s.__getitem__), max(p95s, key=p95s.__getitem__)
    return markdown(
        "Of the {} requests{} at {}, {} was the slowest with a p95 duration of {:ms} ms, and {} was "
        "the fastest with {:ms} ms.",
        *(len(p95s), EMPTY if len(p95s) == len(parts) else markdown(" with a finite p95")),
        *(levels(stage), code(slow), p95s[slow], code(fast), p95s[fast]),
    )


def _lossiest(stage: Stage) -> Markdown:
    """Return which requests lost most, each as a share of its own; empty if none was lost."""
    shares = {name: share for name, part in stage.request_parts.items() if (share := lost_share(part))}
    worst = sorted(shares, key=lambda name: (-shares[name], name))[:_KINDS_SHOWN]
    lost = listed([markdown("{:share} of {}", shares[name], code(name)) for name in worst])
    others = len(shares) - len(worst)
    more = f", and some of {number_format.plural(others, 'other request')}" if others else EMPTY
    sentence = markdown("At {}, {} failed or were dropped{}.", levels(stage), lost, more)
    return sentence if shares else EMPTY


def _perceived(stages: Sequence[Stage]) -> Markdown:
    """Return where users wait longer than the duration suggests; empty if they do not."""
    apart = [stage for stage in stages if differs(stage) and not stage.slices]
    if not apart:
        return EMPTY
    worst = max(apart, key=lambda stage: stage.response_time_ms.p95 or 0.0)
    connect, delay = worst.connect_ms.p95, worst.dispatch_delay_ms.p95
    parts = []
    if connect and connect > 1:
        parts.append(markdown("connecting took {:ms} ms at p95", connect))
    if delay and delay > 1:
        parts.append(markdown("requests were sent {:ms} ms late at p95", delay))
    return markdown(
        "Users would see higher latency than `duration` suggests. At {}, the p95 response time, "
        "measured from when a request was due, was {:ms} ms against a p95 duration of {:ms} ms{}.",
        *(levels(worst), worst.response_time_ms.p95, worst.duration_ms.p95),
        markdown(": {}", listed(parts)) if parts else EMPTY,
    )


def _cost(stages: Sequence[Stage]) -> Markdown:
    costs = [
        markdown("{:micros} µs at {}", cost, levels(stage))
        for stage in believed(stages)
        if (cost := stage.cpu_us_per_request.get(Role.APP))
    ]
    if costs:
        return markdown("CPU time of the app per successful response: {}.", listed(costs))
    unknown = not any(stage.cpu_cores.get(Role.APP) for stage in stages)
    return markdown("The CPU usage of the service was not measured.") if unknown else EMPTY


def aborted(run: RunInfo) -> Markdown:
    """Return why a run is incomplete or was interrupted; empty for neither."""
    if run.status == "aborted":
        reason = f"because {run.error}" if run.error else "early"
        return markdown(
            "**This run was aborted {}.** Results up to that point follow; the other stages were not run.",
            f"by {run.signal}" if run.signal else reason,
        )
    if run.resumed_at:
        return markdown("This run was interrupted and resumed at {}.", listed(run.resumed_at))
    return EMPTY
