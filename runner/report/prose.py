"""Sentences from numbers: what was expected, what happened, what limits, and what is not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from runner.report import number_format
from runner.report.markdown_text import code, escape
from runner.report.number_format import listed, plural
from runner.report.tables import differs, stage_name

__all__ = ["aborted", "analysis", "believed", "described", "heading", "held", "missed", "stage_name", "title"]

Stage = Mapping[str, Any]
Configuration = Mapping[str, Any]
_NOTABLE: Final = 1.3
_MORE: Final = 1.005
HELD: Final = "within-capacity"


def title(configuration: Configuration) -> str:
    """What a configuration is called, as plain text."""
    return str(configuration["title"] or configuration["name"].replace("-", " ").title())


def heading(configuration: Configuration) -> str:
    """The same as Markdown."""
    return escape(title(configuration))


def described(configuration: Configuration) -> str:
    """One sentence: what was built and how it was loaded."""
    return f"{_built(configuration['topology'])}, {_loaded(configuration)}."


def _built(topology: Mapping[str, Any]) -> str:
    kind = topology["kind"]
    replicas = topology.get("replicas", 1)
    if kind == "external":
        unchecked = " (certificate not checked)" if topology.get("certificate") == "not checked" else ""
        return (
            f"A service that already ran at {escape(str(topology.get('url', 'its own address')))}{unchecked}"
        )
    if kind == "docker":
        what = f"{plural(replicas, 'replica')} in Docker"
    else:
        command = topology.get("command")
        started = f" ({code(command if isinstance(command, str) else ' '.join(command))})" if command else ""
        what = f"One process{started}" if replicas == 1 else f"{replicas} processes{started}"
    return f"{what} {_proxied(topology['proxy'])}" if topology.get("proxy") else what


def _proxied(proxy: Mapping[str, Any]) -> str:
    kept = proxy.get("keepalive")
    return "behind Nginx" if kept else "behind Nginx (a new upstream connection for every request)"


def _loaded(configuration: Configuration) -> str:
    load, stages = configuration["load"], configuration["stages"]
    rates = listed([number_format.rate(stage["target_rps"]) for stage in stages if stage["repeat"] == 1])
    how = "a new TCP connection for every request" if load["connection"] == "new" else "kept connections"
    lengths = [stage["window_s"] for stage in stages]
    each = " each" if len(stages) > 1 else ""
    length = f"for {listed([number_format.seconds(each) for each in dict.fromkeys(lengths)])}"
    return f"asked at {rates} RPS {length}{each if len(set(lengths)) == 1 else ''} over {how}"


def trust(configuration: Configuration) -> list[str]:
    """Who answered is not known when nobody looked at the certificate."""
    if configuration["topology"].get("certificate") != "not checked":
        return []
    return [
        "**The server’s certificate was not checked** (`topology.tls.insecure`): anybody may have answered."
    ]


def warnings(stages: Sequence[Stage]) -> list[str]:
    """Why some stages may not be believed, one sentence a reason."""
    return [
        f"**{stage_name(stage)} is {stage['validity']['status']}:** {escape(reason)}."
        for stage in stages
        if stage["status"] != "not-run"
        for reason in stage["validity"]["reasons"]
    ]


def analysis(stages: Sequence[Stage]) -> list[str]:
    """Paragraphs about one configuration."""
    ran = [stage for stage in stages if stage["achieved"] is not None]
    if not ran:
        return ["No stage was run, so nothing can be said."]
    found = [_throughput(ran), _latency(ran), _felt(ran), _cost(ran), *_limits(ran)]
    return [paragraph for paragraph in found if paragraph]


def held(stages: Sequence[Stage]) -> list[Stage]:
    """Stages that are believed and answered what was asked, slowest rate first."""
    good = [stage for stage in stages if _answered(stage) and stage["validity"]["status"] != "invalid"]
    return sorted(good, key=lambda stage: float(stage["target_rps"]))


def _answered(stage: Stage) -> bool:
    """A probe of a search is held to what the search asks for."""
    return bool(stage["find"]["holds"] if "find" in stage else stage["verdict"]["code"] == HELD)


def undecided(stage: Stage) -> bool:
    """Whether it is a search's probe that says neither that its rate holds nor that it does not."""
    return "find" in stage and stage["find"]["holds"] is None


def missed(stages: Sequence[Stage]) -> list[Stage]:
    """Stages that ran and fell short, or were not shown to hold, slowest rate first."""
    good = {id(stage) for stage in held(stages)}
    short = [stage for stage in stages if stage["achieved"] is not None and id(stage) not in good]
    return sorted(short, key=lambda stage: float(stage["target_rps"]))


def _throughput(stages: Sequence[Stage]) -> str:
    good, short = held(stages), missed(stages)
    sentences = []
    if good:
        reach = "at every rate that was offered, up to" if not short and len(good) > 1 else "up to"
        reach = "at" if len(stages) == 1 else reach
        highest = number_format.rate(good[-1]["target_rps"])
        sentences.append(f"The service answered what it was asked {reach} {highest} RPS.")
    sentences += [
        f"At {number_format.rate(stage['target_rps'])} RPS it answered {number_format.rate(stage['actual_rps'])} "
        f"a second, {number_format.share(stage['achieved'])} of the target{_more(stage)}{_losses(stage)}."
        for stage in short
    ]
    return " ".join(sentences)


def _more(stage: Stage) -> str:
    """Why a stage may answer more than it was asked."""
    if stage["achieved"] < _MORE:
        return ""
    return " (more than it was asked: some had waited since the warm-up)"


def _losses(stage: Stage) -> str:
    requests = stage["requests"]
    worst = sorted(requests["failures"].items(), key=lambda item: (-item[1], item[0]))[:3]
    parts = [f"{number:,} ended as {escape(kind)}" for kind, number in worst if number]
    if requests["dropped"]:
        parts.insert(
            0, f"{requests['dropped']:,} were never sent, because `max_in_flight` requests were under way"
        )
    return f"; of the {requests['scheduled']:,} requests due {listed(parts)}" if parts else ""


def believed(stages: Sequence[Stage]) -> list[Stage]:
    """Stages that something may be concluded from."""
    return [stage for stage in stages if stage["validity"]["status"] != "invalid"]


def _latency(stages: Sequence[Stage]) -> str:
    measured = [stage for stage in believed(stages) if stage["duration_ms"]["p95"]]
    if len(measured) < 2:
        return ""
    low, high = measured[0], measured[-1]
    before, after = low["duration_ms"]["p95"], high["duration_ms"]["p95"]
    low_rate, high_rate = number_format.rate(low["target_rps"]), number_format.rate(high["target_rps"])
    if after >= _NOTABLE * before:
        return (
            f"The p95 duration rose from {number_format.ms(before)} ms at {low_rate} RPS to {number_format.ms(after)} ms "
            f"at {high_rate} RPS, {number_format.times(after / before)} as much."
        )
    if before >= _NOTABLE * after:
        return (
            f"The p95 duration fell from {number_format.ms(before)} ms at {low_rate} RPS to {number_format.ms(after)} ms "
            f"at {high_rate} RPS."
        )
    return f"The p95 duration stayed near {number_format.ms(after)} ms from {low_rate} to {high_rate} RPS."


def _felt(stages: Sequence[Stage]) -> str:
    """Where a user waits longer than the duration tells."""
    apart = [stage for stage in stages if differs(stage)]
    if not apart:
        return ""
    worst = max(apart, key=lambda stage: float(stage["response_time_ms"]["p95"]))
    parts = []
    if worst["connect_ms"]["p95"] and worst["connect_ms"]["p95"] > 1:
        parts.append(f"connecting took {number_format.ms(worst['connect_ms']['p95'])} ms at p95")
    if worst["dispatch_delay_ms"]["p95"] and worst["dispatch_delay_ms"]["p95"] > 1:
        parts.append(f"requests left {number_format.ms(worst['dispatch_delay_ms']['p95'])} ms late at p95")
    reason = f": {listed(parts)}" if parts else ""
    return (
        "A user would have waited longer than the duration tells. "
        f"At {number_format.rate(worst['target_rps'])} RPS the response time, counted from when a request was due, "
        f"was {number_format.ms(worst['response_time_ms']['p95'])} ms at p95 "
        f"against a duration of {number_format.ms(worst['duration_ms']['p95'])} ms{reason}."
    )


def _cost(stages: Sequence[Stage]) -> str:
    known = [stage for stage in believed(stages) if stage["cpu_us_per_request"].get("app")]
    if not known:
        return "The CPU of the service was not measured." if not _app_known(stages) else ""
    costs = [
        f"{number_format.micros(stage['cpu_us_per_request']['app'])} µs at {number_format.rate(stage['target_rps'])} RPS"
        for stage in known
    ]
    return f"An answered request cost the service {listed(costs)} of CPU time."


def _app_known(stages: Sequence[Stage]) -> bool:
    return any(stage["cpu_cores"].get("app") for stage in stages)


def _limits(stages: Sequence[Stage]) -> list[str]:
    return [f"**{stage_name(stage)}:** {limit(stage)}" for stage in missed(stages)]


def limit(stage: Stage) -> str:
    """What limits a stage, how sure that is, by what numbers, and what to try."""
    if stage["validity"]["status"] == "invalid" and stage["verdict"]["code"] != "generator-limited":
        reason = escape(stage["validity"]["reasons"][0])
        return f"the measurement is invalid ({reason}): nothing is concluded from it."
    if undecided(stage):
        return f"whether this rate holds is not known: {escape(stage['find']['why'])}."
    if stage["verdict"]["code"] == HELD and "find" in stage:
        return f"it answered that rate, but not as the search asks: {escape(stage['find']['why'])}."
    found = stage["verdict"]["findings"]
    if not found:
        return "nothing was concluded."
    chief = found[0]
    items = [None, *chief["evidence"]]
    evidence = "; ".join(_evidence(item, before) for before, item in pairwise(items) if item)
    shown = f" Evidence: {evidence}." if evidence and chief["code"] != "undetermined" else ""
    verdict = stage["verdict"]
    return "".join(
        (
            f"{_name(verdict)}. {_sentence(chief['summary'])}{shown}",
            _proof(verdict),
            _also(found[1:]),
            _ruled_out(verdict.get("ruled_out", ())),
            _next(verdict),
        )
    )


def _next(verdict: Mapping[str, Any]) -> str:
    """What to try. The advice of a finding that was withdrawn was tried, and did not help."""
    findings = verdict["findings"][1:] if verdict.get("withdrawn") else verdict["findings"]
    proof = verdict.get("counter_experiment") or {}
    helped = f"{escape(proof['words'])} helped; beyond it, " if proof.get("answer") == "confirmed" else ""
    return f" Next: {helped}{escape(findings[0]['advice'])}." if findings else ""


def hypothesis(configuration: Configuration) -> list[str]:
    """What was expected, and whether it is so; empty without a hypothesis."""
    found = configuration.get("hypothesis")
    if not found:
        return []
    answer = {"confirmed": "**confirmed**", "refuted": "**refuted**", "open": "**left open**"}[
        found["answer"]
    ]
    said = f"**Hypothesis:** {found['expected']} is {answer} at {escape(found['stage'])}"
    return [f"{said}: {escape(found['why'])}."]


def _name(verdict: Mapping[str, Any]) -> str:
    if verdict.get("withdrawn"):
        return f"undetermined; {verdict['withdrawn']} was suspected and is withdrawn"
    return f"{verdict['code']} ({verdict['confidence']})"


def _proof(verdict: Mapping[str, Any]) -> str:
    found = verdict.get("counter_experiment")
    return f" Counter-experiment: {escape(found['sentence'])}" if found else ""


def _also(findings: Sequence[Mapping[str, Any]]) -> str:
    """What was seen besides, and may be a consequence."""
    seen = [f"{each['code']} ({each['confidence']}): {escape(each['summary'])}" for each in findings]
    return f" Also seen: {'; '.join(seen)}." if seen else ""


def _ruled_out(excluded: Sequence[Mapping[str, Any]]) -> str:
    whys = [f"{each['code']} ({escape(each['why'])})" for each in excluded]
    return f" Ruled out: {listed(whys)}." if whys else ""


def _evidence(item: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> str:
    """A number, its course and its bound, which is not told again where it is that of the one before."""
    named = item["unit"] == "count" or item["unit"] in item["name"]
    unit = "" if named else f" {item['unit']}"
    counted = item.get("after") is not None and item["after"] == int(item["after"])
    course = f", from {item['before']:,.0f} to {item['after']:,.0f}" if counted else ""
    bound = [] if item["threshold"] is None else [f"bound {_figure(item['threshold'])}"]
    why = [escape(item["source"])] if item.get("source") else []
    again = before and (before["threshold"], before.get("source")) == (item["threshold"], item.get("source"))
    told = f" ({', '.join([*bound, *why])})" if (bound or why) and not again else ""
    return f"{escape(item['name'])} {_figure(item['value'])}{unit}{course}{told}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:,.2f}"


def _sentence(text: str) -> str:
    return f"{escape(text[:1].upper() + text[1:])}."


def aborted(run: Mapping[str, Any]) -> str:
    """Why a run is not whole, or not of one piece; empty when it is."""
    if run["status"] != "aborted":
        resumed = run.get("resumed_at") or ()
        if not resumed:
            return ""
        return f"This run was cut short and taken up again at {escape(number_format.listed(resumed))}."
    reason = (
        f"by {run['signal']}"
        if run["signal"]
        else escape(f"because {run['error']}" if run["error"] else "early")
    )
    return f"**This run was aborted {reason}.** What was measured until then follows; the rest was not run."
