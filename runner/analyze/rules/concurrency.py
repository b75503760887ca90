"""Waiting inside the app while nobody's CPU is busy, and memory that ran out."""

from __future__ import annotations

import statistics
from typing import Any, Final

from runner.analyze.kernel_counters import counters, is_here, stolen_cores
from runner.analyze.rules.garbage_collection import collecting
from runner.analyze.rules.types import Evidence, Finding, Judgement, RuledOut, Stage

IDLE_HOST: Final = 0.85
"""Host CPU up to which there is room (netdata's warning alarm)."""
BUSY_THREAD: Final = 0.8
BUSY_UNWATCHED: Final = 0.5
"""Of programs that nobody watches only their sum is known: from here on one thread of them may have been busy
whenever the requests under way let it. Our own bound."""
GROWN: Final = 1.5
AGREES: Final = (0.5, 2.0)
"""Requests under way, counted once a second, over what Little's law has; our own bound."""
_LEAST_IN_FLIGHT: Final = 2.0
_APART: Final = 0.05


def concurrency(stage: Stage, cores: int | None) -> Judgement:
    """Requests pile up or stay long although there is CPU: slots, locks, a pool, a slow dependency."""
    system, known_by = stage["cpu_cores"].get("system"), _busiest(stage)
    if not cores or system is None or known_by is None:
        return None
    busiest, bound, who = known_by
    wanted = max((each["after"] for each in counters(stage, "threads.runnable_share")), default=0.0)
    if system["avg"] > IDLE_HOST * cores or max(busiest, wanted) > bound:
        return RuledOut(
            "app-concurrency-limited",
            f"CPU was busy: the host {system['avg']:.2f} of {cores} cores, {who} {busiest:.2f}"
            + (f", and one thread wanted {wanted:.2f}" if wanted > busiest + _APART else ""),
        )
    known = little(stage)
    if known is None or known["in_flight"] < _LEAST_IN_FLIGHT:
        return RuledOut("app-concurrency-limited", "no requests were waiting")
    if not AGREES[0] <= known["ratio"] <= AGREES[1]:
        return RuledOut(
            "app-concurrency-limited",
            f"{known['in_flight']:,.0f} requests were counted under way, and by Little's law those that were "
            f"answered make {known['expected']:,.0f}",
        )
    if not (stage["requests"]["dropped"] or stage["requests"]["failures"].get("timeout") or _grew(stage)):
        return RuledOut("app-concurrency-limited", "the number of requests under way did not grow")
    return Finding(
        "app-concurrency-limited",
        "likely",
        f"{known['in_flight']:,.0f} requests were under way on average while the host used "
        f"{system['avg']:.2f} of {cores} cores: they waited inside the service, not for CPU",
        (
            Evidence("requests under way", known["in_flight"], "requests"),
            Evidence("host CPU", system["avg"], "cores", IDLE_HOST * cores, "netdata: 85 % is a warning"),
            Evidence("rate x response time (Little's law)", known["expected"], "requests"),
            *collecting(stage),
        ),
        "look for what is limited in number: workers, threads, a connection pool, a lock, a slow dependency",
    )


def _busiest(stage: Stage) -> tuple[float, float, str] | None:
    """The most that a thread of the service can have used of a core, up to where it is idle, and whose it is.

    None when nothing tells. Of a service that is not watched it is all that the host used beyond what is
    watched, if it runs on this host, and what a hypervisor took may have been wanted by it.
    """
    threads = [each["after"] for each in counters(stage, "threads.hottest_cores")]
    if threads:
        return float(max(threads)), BUSY_THREAD, "the busiest thread"
    if own := stage["cpu_cores"].get("app"):
        return float(own["avg"]), BUSY_THREAD, "the app"
    other = stage["cpu_cores"].get("other") if is_here(stage) else None
    if other is None:
        return None
    most = float(other["avg"]) + stolen_cores(stage)
    return most, BUSY_UNWATCHED, "programs that were not watched"


def little(stage: Stage) -> dict[str, float] | None:
    """Requests under way as counted, and as Little's law has them from rate and response time.

    L = λW (Little, "A Proof for the Queuing Formula", 1961): the data of a stage must agree with it.

    Returns:
        ``in_flight`` (mean of the seconds), ``expected`` (answers a second × mean response time, and
        time-outs a second × how long they took) and ``ratio``; None without enough seconds or answers.
    """
    window: list[Any] = [each for each in stage["timeseries"] if each["t_s"] > 0]
    mean_ms = (stage.get("response_time_ms") or {}).get("mean")
    if len(window) < 2 or not mean_ms or not stage["actual_rps"]:
        return None
    counted = statistics.fmean(float(each["in_flight"]) for each in window)
    gave_up = stage["requests"]["failures"].get("timeout", 0) * stage.get("timeout_s", 0.0) / len(window)
    expected = stage["actual_rps"] * mean_ms / 1000 + gave_up
    return {
        "in_flight": round(counted, 3),
        "expected": round(expected, 3),
        "ratio": round(counted / expected, 4) if expected else 0.0,
    }


def _grew(stage: Stage) -> bool:
    levels = [float(each["in_flight"]) for each in stage["timeseries"] if each["t_s"] > 0]
    half = len(levels) // 2
    return half > 0 and statistics.fmean(levels[half:]) > GROWN * max(1.0, statistics.fmean(levels[:half]))


def memory(stage: Stage, cores: int | None) -> Judgement:
    """The kernel ended a process for want of memory, or a group lives at its limit."""
    del cores
    killed = [event for event in stage.get("events", ()) if event["code"] == "out-of-memory"]
    kills = [each for each in counters(stage, "memory.oom_kills") if each["delta"]]
    if killed or kills:
        evidence = tuple(
            Evidence(
                f"processes killed for lack of memory ({each['scope']})",
                each["delta"],
                "count",
                1,
                "Linux: OOM killer",
                before=each["before"],
                after=each["after"],
            )
            for each in kills
        )
        return Finding(
            "memory-limited",
            "proven",
            killed[0]["message"] if killed else "the kernel killed a process for lack of memory",
            evidence
            or (
                Evidence("processes killed for lack of memory", len(killed), "count", 1, "Linux: OOM killer"),
            ),
            "raise topology.app.memory, or find what grows",
        )
    return _pressed(stage)


def _pressed(stage: Stage) -> Judgement:
    hits = [each for each in counters(stage, "memory.limit_hits") if each["delta"]]
    full = [
        each
        for each in counters(stage, "memory.usage_bytes")
        if each["limit"] and (each["peak"] or 0) >= 0.95 * each["limit"]
    ]
    scopes = {each["scope"] for each in hits} & {each["scope"] for each in full}
    if not scopes:
        known = is_here(stage) and any(True for _ in counters(stage, "memory.oom_kills"))
        return RuledOut("memory-limited", "no process was killed for lack of memory") if known else None
    scope = min(scopes)
    hit, used = (next(each for each in found if each["scope"] == scope) for found in (hits, full))
    return Finding(
        "memory-limited",
        "likely",
        f"{scope} lived at its memory limit, which it hit {hit['delta']:,.0f} times",
        (
            Evidence(
                f"memory limit hits ({scope})",
                hit["delta"],
                "count",
                before=hit["before"],
                after=hit["after"],
            ),
            Evidence(
                f"memory of {scope}", used["peak"] / 2**20, "MiB", used["limit"] / 2**20, "its own limit"
            ),
        ),
        "raise topology.app.memory, or find what grows",
    )
