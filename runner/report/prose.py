"""Sentences from numbers: what was expected, what happened, what limits, and what is not known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from runner.core.codes import HypothesisAnswer, Limit, ProofAnswer, StageStatus, Validity
from runner.core.facts import ProxyFacts, Role, SystemDescription
from runner.core.results import (
    ConfigurationResults,
    Evidence,
    Finding,
    RuledOut,
    RunInfo,
    Stage,
    Verdict,
)
from runner.report import number_format
from runner.report.markdown_text import EMPTY, Markdown, code, join, listed, markdown
from runner.report.number_format import plural
from runner.report.tables import differs

_NOTABLE: Final = 1.3
_MORE: Final = 1.005
_KINDS_SHOWN: Final = 3
_HYPOTHESIS: Final = {
    HypothesisAnswer.CONFIRMED: "confirmed",
    HypothesisAnswer.REFUTED: "refuted",
    HypothesisAnswer.OPEN: "undecided",
}


def title(configuration: ConfigurationResults) -> str:
    """Return what people call a configuration."""
    return configuration.title or configuration.name.replace("-", " ").title()


def described(configuration: ConfigurationResults) -> Markdown:
    """Return one sentence: the system under test and how it was loaded."""
    return markdown("{}, {}.", _system(configuration.topology), _loaded(configuration))


def _system(topology: SystemDescription) -> Markdown:
    what = _app(topology)
    return markdown("{} {}", what, _proxied(topology.proxy)) if topology.proxy else what


def _app(topology: SystemDescription) -> Markdown:
    replicas = topology.replicas or 1
    if topology.url is not None:
        unchecked = topology.certificate == "not checked"
        where = markdown("An existing service at {}", code(topology.url))
        return markdown("{} (certificate not verified)" if unchecked else "{}", where)
    if topology.engine is not None:
        return markdown("{} in Docker", plural(replicas, "replica"))
    if topology.command is None:
        return markdown("A system of kind {}", code(topology.kind or "unknown"))
    processes = "One process" if replicas == 1 else f"{replicas:,} processes"
    return markdown("{} ({})", processes, code(" ".join(topology.command)))


def _proxied(proxy: ProxyFacts) -> Markdown:
    name = proxy.kind.capitalize()
    if proxy.keepalive:
        return markdown("behind {}", name)
    return markdown("behind {} (a new upstream connection per request)", name)


def _loaded(configuration: ConfigurationResults) -> Markdown:
    stages = configuration.stages
    rates = listed(number_format.rate(stage.target_rps) for stage in stages if stage.repeat == 1)
    lengths = dict.fromkeys(stage.window_s for stage in stages)
    return markdown(
        "loaded at {} RPS for {}{} with {}",
        rates,
        listed(number_format.seconds(length) for length in lengths),
        markdown(" each" if len(stages) > 1 and len(lengths) == 1 else ""),
        connections(configuration.load.connection),
    )


def connections(word: str) -> str:
    """Return how requests used connections, in words."""
    return {"new": "a new TCP connection per request", "keep-alive": "keep-alive connections"}.get(word, word)


def trust(configuration: ConfigurationResults) -> Iterator[Markdown]:
    """Yield a warning where nothing proves which server responded."""
    if configuration.topology.certificate == "not checked":
        yield markdown(
            "**The server’s certificate was not verified** (`topology.tls.insecure`), so the responses may "
            "come from a different server."
        )


def warnings(stages: Sequence[Stage]) -> list[Markdown]:
    """Return why some stages may not be believed, one sentence for each reason."""
    return [
        markdown("**{} is {}:** {}.", stage.title, stage.validity.status, reason)
        for stage in stages
        if stage.status is not StageStatus.NOT_RUN
        for reason in stage.validity.reasons
    ]


def analysis(stages: Sequence[Stage]) -> list[Markdown]:
    """Return paragraphs about one configuration."""
    ran = [stage for stage in stages if stage.achieved is not None]
    if not ran:
        return [markdown("No stage was run, so there are no results.")]
    found = [_throughput(ran), _latency(ran), _perceived(ran), _cost(ran), *_limits(ran)]
    return [paragraph for paragraph in found if paragraph]


def sustained(stages: Sequence[Stage]) -> list[Stage]:
    """Return valid stages that achieved their target and passed all criteria, slowest rate first."""
    good = [stage for stage in believed(stages) if _passed(stage)]
    return sorted(good, key=lambda stage: stage.target_rps)


def _passed(stage: Stage) -> bool:
    """A probe of a search has to pass the search's conditions."""
    if stage.find is not None:
        return bool(stage.find.holds)
    return stage.verdict.code is Limit.WITHIN_CAPACITY


def undecided(stage: Stage) -> bool:
    """Whether it is a probe that shows neither that its rate is sustained nor that it is not."""
    return stage.find is not None and stage.find.holds is None


def missed(stages: Sequence[Stage]) -> list[Stage]:
    """Return stages that ran and were not shown to sustain their rate, slowest rate first."""
    good = {id(stage) for stage in sustained(stages)}
    short = [stage for stage in stages if stage.achieved is not None and id(stage) not in good]
    return sorted(short, key=lambda stage: stage.target_rps)


def believed(stages: Sequence[Stage]) -> list[Stage]:
    """Return stages that conclusions may rest on."""
    return [stage for stage in stages if stage.validity.status is not Validity.INVALID]


def _throughput(stages: Sequence[Stage]) -> Markdown:
    good, short = sustained(stages), missed(stages)
    sentences = [_kept_up(len(good), number_format.rate(good[-1].target_rps), all_=not short)] if good else []
    return join(" ", [*sentences, *map(_shortfall, short)])


def _kept_up(rates: int, highest: str, *, all_: bool) -> Markdown:
    if rates == 1 and all_:
        return markdown("The service kept up with the offered rate of {} RPS.", highest)
    if all_:
        return markdown("The service kept up with every offered rate, up to {} RPS.", highest)
    return markdown("The service kept up with offered rates up to {} RPS.", highest)


def _shortfall(stage: Stage) -> Markdown:
    backlog = "; the excess was queued during the warm-up" if (stage.achieved or 0) >= _MORE else ""
    return markdown(
        "At {} RPS, the service achieved {} RPS ({} of the target{}).{}",
        number_format.rate(stage.target_rps),
        number_format.rate(stage.actual_rps),
        number_format.share(stage.achieved),
        backlog,
        _losses(stage),
    )


def _losses(stage: Stage) -> Markdown:
    requests = stage.requests
    largest = sorted(requests.failures.items(), key=lambda item: (-item[1], item[0]))[:_KINDS_SHOWN]
    parts = [markdown("{:,} failed with {}", number, code(kind)) for kind, number in largest if number]
    if requests.dropped:
        dropped = markdown("{:,} were dropped because `max_in_flight` was reached", requests.dropped)
        parts.insert(0, dropped)
    if not parts:
        return EMPTY
    return markdown(" Of the {:,} scheduled requests, {}.", requests.scheduled, listed(parts))


def _latency(stages: Sequence[Stage]) -> Markdown:
    measured = [(stage, stage.duration_ms.p95) for stage in believed(stages) if stage.duration_ms.p95]
    if len(measured) < 2:
        return EMPTY
    (low, before), (high, after) = measured[0], measured[-1]
    values = {
        "before": number_format.ms(before),
        "after": number_format.ms(after),
        "low": number_format.rate(low.target_rps),
        "high": number_format.rate(high.target_rps),
    }
    if after >= _NOTABLE * before:
        return markdown(
            "The p95 duration rose from {before} ms at {low} RPS to {after} ms at {high} RPS, {times} as "
            "high.",
            times=number_format.times(after / before),
            **values,
        )
    if before >= _NOTABLE * after:
        return markdown(
            "The p95 duration fell from {before} ms at {low} RPS to {after} ms at {high} RPS.", **values
        )
    return markdown("The p95 duration stayed near {after} ms from {low} to {high} RPS.", **values)


def _perceived(stages: Sequence[Stage]) -> Markdown:
    """Where users wait longer than the duration suggests."""
    apart = [stage for stage in stages if differs(stage)]
    if not apart:
        return EMPTY
    worst = max(apart, key=lambda stage: stage.response_time_ms.p95 or 0.0)
    connect, delay = worst.connect_ms.p95, worst.dispatch_delay_ms.p95
    parts = []
    if connect and connect > 1:
        parts.append(markdown("connecting took {} ms at p95", number_format.ms(connect)))
    if delay and delay > 1:
        parts.append(markdown("requests were sent {} ms late at p95", number_format.ms(delay)))
    return markdown(
        "Users would see higher latency than `duration` suggests. At {} RPS, the p95 response time, measured "
        "from when a request was due, was {} ms against a p95 duration of {} ms{}.",
        number_format.rate(worst.target_rps),
        number_format.ms(worst.response_time_ms.p95),
        number_format.ms(worst.duration_ms.p95),
        markdown(": {}", listed(parts)) if parts else EMPTY,
    )


def _cost(stages: Sequence[Stage]) -> Markdown:
    costs = [
        markdown("{} µs at {} RPS", number_format.micros(cost), number_format.rate(stage.target_rps))
        for stage in believed(stages)
        if (cost := stage.cpu_us_per_request.get(Role.APP))
    ]
    if costs:
        return markdown("CPU time of the service per successful response: {}.", listed(costs))
    unknown = not any(stage.cpu_cores.get(Role.APP) for stage in stages)
    return markdown("The CPU usage of the service was not measured.") if unknown else EMPTY


def _limits(stages: Sequence[Stage]) -> list[Markdown]:
    return [markdown("**{}:** {}", stage.title, limit(stage)) for stage in missed(stages)]


def limit(stage: Stage) -> Markdown:
    """Return what limits a stage, how sure that is, by what numbers, and what to try."""
    verdict, probe = stage.verdict, stage.find
    if stage.validity.status is Validity.INVALID and verdict.code is not Limit.GENERATOR:
        reasons = join("; ", stage.validity.reasons[:1])
        return markdown("the measurement is invalid ({}) and supports no conclusion.", reasons)
    if probe is not None and probe.holds is None:
        return markdown("this rate could not be judged: {}.", probe.why)
    if probe is not None and verdict.code is Limit.WITHIN_CAPACITY:
        return markdown("the service achieved this rate, but the search’s conditions failed: {}.", probe.why)
    if not verdict.findings:
        return markdown("no limit was identified.")
    first = verdict.findings[0]
    parts = [_conclusion(verdict, first), _proof(verdict), _also(verdict.findings[1:])]
    parts += [_ruled_out(verdict.ruled_out or ()), _next(verdict)]
    return join(" ", filter(None, parts))


def _conclusion(verdict: Verdict, finding: Finding) -> Markdown:
    evidence = EMPTY
    if finding.evidence and finding.code is not Limit.UNDETERMINED:
        evidence = markdown(" Evidence: {}.", join("; ", _evidence(finding.evidence)))
    return markdown("{}. {}.{}", _name(verdict), _capitalized(finding.summary), evidence)


def _next(verdict: Verdict) -> Markdown:
    """What to try. The advice of a withdrawn finding was tried already, and did not help."""
    findings = verdict.findings[1:] if verdict.withdrawn else verdict.findings
    if not findings:
        return EMPTY
    proof = verdict.counter_experiment
    if proof is not None and proof.answer is ProofAnswer.CONFIRMED:
        return markdown("Next: {} helped; beyond that, {}.", proof.words, findings[0].advice)
    return markdown("Next: {}.", findings[0].advice)


def hypothesis(configuration: ConfigurationResults) -> Iterator[Markdown]:
    """Yield what was expected and whether it is so; nothing without a hypothesis."""
    expected = configuration.hypothesis
    if expected:
        yield markdown(
            "**Hypothesis:** {} is **{}** at {}: {}.",
            expected.expected,
            _HYPOTHESIS[expected.answer],
            expected.stage,
            expected.why,
        )


def _name(verdict: Verdict) -> Markdown:
    if verdict.withdrawn:
        return markdown("undetermined; the suspected {} was refuted", verdict.withdrawn)
    return markdown("{} ({})", verdict.code, verdict.confidence)


def _proof(verdict: Verdict) -> Markdown:
    proof = verdict.counter_experiment
    return markdown("Counter-experiment: {}", proof.sentence) if proof else EMPTY


def _also(findings: Sequence[Finding]) -> Markdown:
    """What else was observed, and may be a consequence."""
    seen = [
        markdown("{} ({}): {}", finding.code, finding.confidence, finding.summary) for finding in findings
    ]
    return markdown("Also observed: {}.", join("; ", seen)) if seen else EMPTY


def _ruled_out(excluded: Sequence[RuledOut]) -> Markdown:
    reasons = [markdown("{} ({})", limit.code, limit.why) for limit in excluded]
    return markdown("Ruled out: {}.", listed(reasons)) if reasons else EMPTY


def _evidence(items: Sequence[Evidence]) -> Iterator[Markdown]:
    """Yield each number with its course and its bound; a bound that repeats is not shown again."""
    last = None
    for item in items:
        bound = (item.threshold, item.source)
        yield _number(item, bounded=bound != last)
        last = bound


def _number(item: Evidence, *, bounded: bool) -> Markdown:
    named = item.unit == "count" or item.unit in item.name
    course = ""
    if item.before is not None and item.after is not None and item.after == int(item.after):
        course = f", from {item.before:,.0f} to {item.after:,.0f}"
    bound = [] if item.threshold is None else [markdown("bound {}", _figure(item.threshold))]
    reasons = join(", ", [*bound, *([item.source] if item.source else [])])
    return markdown(
        "{} {}{}{}{}",
        item.name,
        _figure(item.value),
        EMPTY if named else markdown(" {}", item.unit),
        course,
        markdown(" ({})", reasons) if reasons and bounded else EMPTY,
    )


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:,.2f}"


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def aborted(run: RunInfo) -> Markdown:
    """Return why a run is incomplete or was interrupted; empty for neither."""
    if run.status == "aborted":
        return markdown(
            "**This run was aborted {}.** Results up to that point follow; the other stages were not run.",
            _reason(run),
        )
    if run.resumed_at:
        return markdown("This run was interrupted and resumed at {}.", listed(run.resumed_at))
    return EMPTY


def _reason(run: RunInfo) -> Markdown:
    if run.signal:
        return markdown("by {}", run.signal)
    return markdown("because {}", run.error) if run.error else markdown("early")
