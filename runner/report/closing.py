"""The last words of a report: all configurations side by side, and what follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runner.report import numbers
from runner.report.markup import escape
from runner.report.numbers import listed
from runner.report.words import HELD, believed, heading, held, missed

Stage = Mapping[str, Any]
Configuration = Mapping[str, Any]


def final(configurations: Sequence[Configuration], *, compared: bool = True) -> list[str]:
    """Paragraphs over all configurations.

    Args:
        configurations: As in results.json.
        compared: Whether those that were asked at the same rate are told side by side.
    """
    reached = [_reach(configuration, len(configurations)) for configuration in configurations]
    return [*reached, *(_compared(configurations) if compared else ())]


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
        f"{name} answered {numbers.rate(stage['actual_rps'])} a second "
        f"(p95 duration {numbers.ms(stage['duration_ms']['p95'])} ms)"
        for name, stage in pairs
    ]
    costs = [cost for name, stage in pairs if (cost := _host_cost(name, stage))]
    priced = f" An answered request cost the whole host {listed(costs)}." if len(costs) > 1 else ""
    return f"At {numbers.rate(rate)} RPS, {listed(answered)}.{priced}"


def _host_cost(name: str, stage: Stage) -> str:
    """CPU of the whole host for each good answer, and the parts that a direct connection has not."""
    costs = stage["cpu_us_per_request"]
    if not costs.get("system"):
        return ""
    hops = [f"{role} {numbers.micros(costs[role])} µs" for role in ("proxy", "forwarder") if costs.get(role)]
    parts = f" ({listed(hops)} of it)" if hops else ""
    return f"{numbers.micros(costs['system'])} µs of CPU in {name}{parts}"


def _reach(configuration: Configuration, several: int) -> str:
    name = f"**{heading(configuration)}** " if several > 1 else "The service "
    ran = [stage for stage in configuration["stages"] if stage["achieved"] is not None]
    if not ran:
        return f"{name}was not run."
    good, short = held(ran), missed(ran)
    reached = (
        f"{name}held {numbers.rate(good[-1]['target_rps'])} RPS" if good else f"{name}held none of the rates"
    )
    if not short:
        return f"{reached}, the highest rate offered; its limit lies above and was not looked for."
    return f"{reached}. {_first_limit(short[0])}"


def _first_limit(stage: Stage) -> str:
    found = stage["verdict"]["findings"]
    where = f"At {numbers.rate(stage['target_rps'])} RPS"
    if stage["validity"]["status"] == "invalid":
        return f"{where} the measurement is invalid, so nothing is concluded from it."
    if stage["verdict"]["code"] == HELD and "find" in stage:
        return f"{where} it still answered, but not as the search asks: {escape(stage['find']['why'])}."
    proof = stage["verdict"].get("counter_experiment")
    if proof and proof["answer"] != "inconclusive":
        return f"{where} {escape(found[0]['summary'])}. {escape(proof['sentence'])}"
    if stage["verdict"]["code"] == "undetermined" or not found:
        return f"{where} it fell short, and no counter that was read shows why."
    return f"{where} {escape(found[0]['summary'])} ({stage['verdict']['confidence']})."


def conclusion(configurations: Sequence[Configuration]) -> str:
    """The last word: the best rate that held, and what is still open."""
    reached = [(held(each["stages"]), each) for each in configurations]
    best = [(good[-1], each) for good, each in reached if good]
    if not best:
        return _nothing_held(configurations)
    stage, configuration = max(best, key=lambda pair: float(pair[0]["target_rps"]))
    where = f" ({heading(configuration)})" if len(configurations) > 1 else ""
    quick = numbers.ms(stage["response_time_ms"]["p95"])
    told = f" with a response time of {quick} ms at p95" if stage["response_time_ms"]["p95"] else ""
    return (
        f"The highest rate shown to hold is **{numbers.rate(stage['target_rps'])} RPS**{where}{told}. "
        f"{_open_question(configurations)}"
    )


def _nothing_held(configurations: Sequence[Configuration]) -> str:
    ran = [stage for each in configurations for stage in believed(each["stages"]) if stage["actual_rps"]]
    if not ran:
        return "No stage held its rate, so there is no throughput to rely on from this run."
    best = max(ran, key=lambda stage: float(stage["actual_rps"]))
    return (
        "No stage held its rate. "
        f"The most that was answered is **{numbers.rate(best['actual_rps'])} a second**, "
        f"when {numbers.rate(best['target_rps'])} were asked for; "
        f"the limit there is {best['verdict']['code']} "
        f"({best['verdict']['confidence']})."
    )


def _open_question(configurations: Sequence[Configuration]) -> str:
    short = [stage for each in configurations for stage in missed(each["stages"])]
    codes = dict.fromkeys(stage["verdict"]["code"] for stage in short)
    if not short:
        return "No limit was met; offer more to find it."
    known = [name for name in codes if name not in {"undetermined", HELD}]
    if not known:
        return "What limits the stages above it is not shown by what was measured."
    return f"Above it the run met these limits: {listed(known)}."
