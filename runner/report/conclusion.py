"""The last words of a report: all configurations side by side, and what follows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from runner.analyze.counter_experiment import uses_up
from runner.report import number_format, request_cost
from runner.report.markdown_text import escape
from runner.report.number_format import listed
from runner.report.prose import HELD, believed, heading, held, missed, undecided

Stage = Mapping[str, Any]
Configuration = Mapping[str, Any]
_OURS: Final = "generator-limited"


def final(configurations: Sequence[Configuration], *, compared: bool = True) -> list[str]:
    """Paragraphs over all configurations.

    Args:
        configurations: As in results.json.
        compared: Whether those that were asked at the same rate are told side by side.
    """
    several = len(configurations)
    met = [_reach(each, several) for each in configurations if not _unlimited(each)]
    return [*_all_held(configurations), *met, *(_compared(configurations) if compared else ())]


def _unlimited(configuration: Configuration) -> bool:
    """Whether everything that it was asked was answered."""
    ran = [stage for stage in configuration["stages"] if stage["achieved"] is not None]
    return bool(ran) and not missed(ran)


def _all_held(configurations: Sequence[Configuration]) -> list[str]:
    """A sentence for every rate that was the highest, and who held it."""
    at: dict[tuple[float, bool], list[str]] = {}
    for each in filter(_unlimited, configurations):
        highest = held(each["stages"])[-1]
        at.setdefault((highest["target_rps"], "find" in highest), []).append(f"**{heading(each)}**")
    return [_held_all(rate, searched, names, len(configurations)) for (rate, searched), names in at.items()]


def _held_all(rate: float, searched: object, names: Sequence[str], several: int) -> str:
    who = listed(names) if several > 1 else "The service"
    whose, lies = ("its limit", "lies") if len(names) == 1 else ("their limits", "lie")
    offered = "the highest rate the search may try" if searched else "the highest rate offered"
    looked = "" if searched else f" and {'was' if len(names) == 1 else 'were'} not looked for"
    return f"{who} held {number_format.rate(rate)} RPS, {offered}; {whose} {lies} above{looked}."


def _compared(configurations: Sequence[Configuration]) -> list[str]:
    """A paragraph for every rate that several configurations were asked at."""
    asked: dict[float, list[tuple[str, Stage]]] = {}
    for configuration in configurations:
        for stage in believed(configuration["stages"]):
            if stage["achieved"] is not None and stage["repeat"] == 1:
                asked.setdefault(stage["target_rps"], []).append((heading(configuration), stage))
    return [_side_by_side(rate, pairs) for rate, pairs in asked.items() if len(pairs) > 1]


def _side_by_side(rate: float, pairs: Sequence[tuple[str, Stage]]) -> str:
    answered = [
        f"{name} answered {number_format.rate(stage['actual_rps'])} a second "
        f"(p95 duration {number_format.ms(stage['duration_ms']['p95'])} ms)"
        for name, stage in pairs
    ]
    costs = [cost for name, stage in pairs if (cost := _host_cost(name, stage))]
    priced = f" An answered request cost the whole host {listed(costs)}." if len(costs) > 1 else ""
    return f"At {number_format.rate(rate)} RPS, {listed(answered)}.{priced}"


def _host_cost(name: str, stage: Stage) -> str:
    """CPU of the whole host for each good answer, and the parts that a direct connection has not."""
    costs = stage["cpu_us_per_request"]
    if not costs.get("system"):
        return ""
    hops = [
        f"{role} {number_format.micros(costs[role])} µs" for role in ("proxy", "forwarder") if costs.get(role)
    ]
    parts = f" ({listed(hops)} of it)" if hops else ""
    return f"{number_format.micros(costs['system'])} µs of CPU in {name}{parts}"


def _reach(configuration: Configuration, several: int) -> str:
    name = f"**{heading(configuration)}** " if several > 1 else "The service "
    ran = [stage for stage in configuration["stages"] if stage["achieved"] is not None]
    if not ran:
        return f"{name}was not run."
    good, short = held(ran), missed(ran)
    reached = (
        f"{name}held {number_format.rate(good[-1]['target_rps'])} RPS. " if good else f"{name}{_none(ran)}. "
    )
    return f"{reached}{_first_limit(short[0])}"


def _none(ran: Sequence[Stage]) -> str:
    if any(undecided(stage) for stage in ran):
        return "was not shown to hold any rate"
    return "did not hold the rate" if len(ran) == 1 else "held none of the rates"


def _first_limit(stage: Stage) -> str:
    found = stage["verdict"]["findings"]
    where = f"At {number_format.rate(stage['target_rps'])} RPS"
    if stage["validity"]["status"] == "invalid":
        return f"{where} the measurement is invalid, so nothing is concluded from it."
    if undecided(stage):
        return f"{where} the search stopped: {escape(stage['find']['why'])}."
    if stage["verdict"]["code"] == HELD and "find" in stage:
        return f"{where} it still answered, but not as the search asks: {escape(stage['find']['why'])}."
    proof = stage["verdict"].get("counter_experiment")
    if proof and proof["answer"] != "inconclusive":
        return f"{where} {escape(found[0]['summary'])}. {escape(proof['sentence'])}"
    if stage["verdict"]["code"] == "undetermined" or not found:
        return f"{where} {escape(found[0]['summary'])}." if found else f"{where} it fell short."
    return f"{where} {escape(found[0]['summary'])} ({stage['verdict']['confidence']})."


def conclusion(configurations: Sequence[Configuration]) -> str:
    """The last word: the best rate that held, and what is still open."""
    reached = [(held(each["stages"]), each) for each in configurations]
    best = [(good[-1], each) for good, each in reached if good]
    if not best:
        return _nothing_held(configurations)
    highest = max(float(stage["target_rps"]) for stage, _ in best)
    equals = [pair for pair in best if pair[0]["target_rps"] == highest]
    stage, configuration = min(equals, key=_slowness)
    where = _who(heading(configuration), len(equals), len(configurations))
    quick = number_format.ms(stage["response_time_ms"]["p95"])
    told = f" with a response time of {quick} ms at p95" if stage["response_time_ms"]["p95"] else ""
    said = (
        f"The highest rate shown to hold is **{number_format.rate(stage['target_rps'])} RPS**{where}{told}.",
        _capacities(configurations),
        _open_question(configurations),
        request_cost.answer(configurations),
    )
    return " ".join(filter(None, said))


def _slowness(pair: tuple[Stage, Configuration]) -> float:
    return float(pair[0]["response_time_ms"]["p95"] or math.inf)


def _who(name: str, equals: int, several: int) -> str:
    if several == 1:
        return ""
    return f" ({name})" if equals == 1 else f", by {equals} of {several} configurations, quickest {name}"


def _capacities(configurations: Sequence[Configuration]) -> str:
    """What several searches found, side by side."""
    found = [
        (heading(each), search["rps"])
        for each in configurations
        for search in each.get("capacity", ())
        if search["rps"] is not None
    ]
    if len(found) < 2:
        return ""
    most = max(rate for _, rate in found)
    shares = [
        f"{name} {number_format.rate(rate)} RPS"
        + (f" ({number_format.share(rate / most)} of that)" if rate < most else "")
        for name, rate in found
    ]
    return f"By the searches the capacities are: {listed(shares)}."


def _nothing_held(configurations: Sequence[Configuration]) -> str:
    ran = [stage for each in configurations for stage in believed(each["stages"]) if stage["actual_rps"]]
    if not ran:
        return "No stage held its rate, so there is no throughput to rely on from this run."
    best = max(ran, key=lambda stage: float(stage["actual_rps"]))
    most = (
        f"The most that was answered is **{number_format.rate(best['actual_rps'])} a second**, "
        f"when {number_format.rate(best['target_rps'])} were asked for"
    )
    verdict = best["verdict"]
    if any(undecided(stage) for stage in ran):
        return f"The search came to no answer. {most}."
    if verdict["code"] == HELD:
        return f"No rate held as the search asks. {most}; no limit of the rate itself was met there."
    if verdict["code"] == "undetermined":
        return f"No stage held its rate. {most}; what limits it there is not shown by what was measured."
    return f"No stage held its rate. {most}; the limit there is {_limit(best)}."


def _open_question(configurations: Sequence[Configuration]) -> str:
    first = [(short[0], each) for each in configurations if (short := missed(each["stages"]))]
    if not first:
        return "No limit was met; offer more to find it."
    known = [pair for pair in first if pair[0]["verdict"]["code"] not in {"undetermined", _OURS, HELD}]
    if not known and any(stage["verdict"]["code"] == _OURS for stage, _ in first):
        return "Above it the load generator was the limit, so nothing is known of the service there."
    if not known:
        return "What limits the rates above it is not shown by what was measured."
    if len(configurations) == 1:
        return f"Above it the limit is {_limit(known[0][0])}."
    by_limit: dict[str, list[str]] = {}
    for stage, each in known:
        by_limit.setdefault(_named(stage), []).append(f"{heading(each)} ({_how_sure(stage)})")
    return (
        f"Limits that were met: {'; '.join(f'{name}, in {listed(who)}' for name, who in by_limit.items())}."
    )


def _limit(stage: Stage) -> str:
    """A limit, what lies behind it, and how sure that is."""
    return f"{_named(stage)} ({_how_sure(stage)})"


def _how_sure(stage: Stage) -> str:
    return f"{stage['verdict']['confidence']}, at {number_format.rate(stage['target_rps'])} RPS"


def _named(stage: Stage) -> str:
    """A limit, and what a counter-experiment showed to use it up."""
    verdict = stage["verdict"]
    proof = verdict.get("counter_experiment") or {}
    confirmed = proof.get("answer") == "confirmed" and "cause" in proof
    behind = confirmed and uses_up(verdict["code"], proof["cause"])
    return f"{verdict['code']}, used up by {escape(proof['cause'])}" if behind else str(verdict["code"])
