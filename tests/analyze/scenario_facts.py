"""Facts of scenarios made by hand: users that send requests one after another, and pause between them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from runner.core import histogram
from runner.core.facts import TrialFacts
from runner.core.load_facts import (
    UNFINISHED,
    DropCauses,
    LoadFacts,
    LoadSecond,
    PartFacts,
    ResponseSample,
    ScenarioFacts,
)
from runner.core.ramp import Ramp
from runner.core.units import ns
from tests.analyze.facts import observed, trial
from tests.analyze.simulated import Ended, order, record

SPEC = b"""
version: 1
name: shop
title: The Shop
objective: Find how many users the shop serves.
topology:
  kind: process
  app: {command: [shop, --port, "{port}"]}
load:
  timeout: 10s
  scenarios:
    - name: checkout
      weight: 3
      steps:
        - request: {name: login, method: POST, path: /login}
        - pause: 1s
        - request: {name: cart, method: POST, path: /cart}
        - request: {name: pay, method: POST, path: /pay}
    - name: visit
      steps:
        - request: {name: home, path: /}
stages:
  - {users_per_s: 20, duration: 10s}
thresholds:
  - scenario_duration{scenario=checkout}.p95 < 3s
  - scenario_errors < 1%
  - duration{request=checkout/pay}.p95 < 500ms
  - scenarios_per_s{scenario=visit} >= 2
"""
STEPS = {"checkout": ("login", "cart", "pay"), "visit": ("home",)}
SHARES = {"checkout": 0.75, "visit": 0.25}
PAUSE_S = 1.0


@dataclass(frozen=True)
class Request:
    """A request of a step: when it was due and when it ended, in seconds after the window's start."""

    step: str
    due: float
    end: float
    failure: str = ""


@dataclass(frozen=True)
class User:
    """A run of a scenario: how it ended, which is empty if it completed, and its requests."""

    scenario: str
    due: float
    end: float
    failure: str
    requests: tuple[Request, ...]


Times = Callable[[str, float], float]
"""Name of a step and when it is due to how long its response takes."""


def usual(step: str, due: float) -> float:
    """A login of 20 ms, a cart of 30 ms, a payment of 200 ms, a page of 5 ms."""
    del due
    return {"login": 0.02, "cart": 0.03, "pay": 0.2, "home": 0.005}[step]


def walk(scenario: str, due: float, times: Times, pause_s: float, fails: str, until: float) -> User:
    """Return a user who fails at a step, if that is named, and is cut off at a time."""
    now, requests = due, []
    for at, step in enumerate(STEPS[scenario]):
        if at == 1:
            now += pause_s
        if now >= until:
            return User(scenario, due, until, UNFINISHED, tuple(requests))
        end = now + times(step, now)
        if end >= until:
            cut_off = Request(step, now, until, "timeout")
            return User(scenario, due, until, UNFINISHED, (*requests, cut_off))
        failed = "extract_failed" if step == fails else ""
        requests.append(Request(step, now, end, failed))
        now = end
        if failed:
            return User(scenario, due, end, failed, tuple(requests))
    return User(scenario, due, now, "", tuple(requests))


def users(
    rate: float = 20.0,
    window_s: float = 10.0,
    *,
    warmup_s: float = 0.0,
    times: Times = usual,
    pause_s: Callable[[], float] | float = PAUSE_S,
    timeout_s: float = 10.0,
    fails: Callable[[int], str] = lambda _: "",
    rate_to: float | None = None,
) -> list[User]:
    """Return users at a constant rate or at a ramp of it, three of four of whom check out."""
    made = []
    dues = _due_times(rate, window_s, warmup_s, rate_to)
    for k, due in enumerate(dues):
        scenario = "visit" if k % 4 == 3 else "checkout"
        pause = pause_s if isinstance(pause_s, float) else pause_s()
        made.append(walk(scenario, due, times, pause, fails(k), window_s + timeout_s))
    return made


def _due_times(rate: float, window_s: float, warmup_s: float, rate_to: float | None) -> Iterable[float]:
    if rate_to is None:
        return (n / rate - warmup_s for n in range(round(rate * (window_s + warmup_s))))
    o = order(rate, window_s, warmup_s, rate_to=rate_to)
    assert o.ramp
    return (due / 1e9 - warmup_s for due in o.ramp.arrivals())


def facts_of(made: Sequence[User], window_s: float = 10.0, warmup_s: float = 0.0) -> LoadFacts:
    """Return the facts of these users, as an engine records them."""
    names = [name for name in STEPS if any(user.scenario == name for user in made)]
    steps = [f"{name}/{step}" for name in names for step in STEPS[name]]
    requests = {step: _requests(made, step) for step in steps}
    by_step = {step: _seconds(own) for step, own in requests.items()}
    runs = {name: [user for user in made if user.scenario == name] for name in names}
    by_scenario = {name: _seconds([_as_request(user) for user in own]) for name, own in runs.items()}
    for name, own in runs.items():
        for index, second in by_scenario[name].items():
            now = min(index + 1.0, window_s)
            under_way = sum(user.due <= now < user.end for user in own)
            by_scenario[name][index] = replace(second, in_flight=under_way)
    indices = sorted({index for own in (*by_step.values(), *by_scenario.values()) for index in own})
    seconds = tuple(
        _whole(index, {step: own[index] for step, own in by_step.items() if index in own},
               {name: own[index] for name, own in by_scenario.items() if index in own}, requests, window_s)
        for index in range(indices[0], indices[-1] + 1)
    )  # fmt: skip
    scenarios = {name: _scenario(name, runs[name], window_s, warmup_s) for name in names}
    planned = {step: sum(one.due >= 0 for one in own) for step, own in requests.items()}
    total = sum(planned.values())
    return LoadFacts(
        drops=DropCauses(),
        engine="builtin", workers=1, planned=total, seconds=seconds, complete=True, clock="made by hand",
        parts={step: PartFacts(number, number / total) for step, number in planned.items()},
        scenarios=scenarios,
    )  # fmt: skip


def _requests(made: Sequence[User], path: str) -> list[Request]:
    scenario, _, step = path.partition("/")
    return [one for user in made if user.scenario == scenario for one in user.requests if one.step == step]


def _as_request(user: User) -> Request:
    return Request(user.scenario, user.due, user.end, user.failure)


def _seconds(requests: Sequence[Request]) -> dict[int, LoadSecond]:
    """Return counts and times by the second in which a request came due or ended."""
    counts: defaultdict[int, Counter[str]] = defaultdict(Counter)
    failures: defaultdict[int, Counter[str]] = defaultdict(Counter)
    times: defaultdict[int, list[int]] = defaultdict(list)
    for one in requests:
        due, end = math.floor(one.due), math.floor(one.end)
        if not one.failure:
            counts[end]["completed"] += 1
        if one.due < 0:
            continue
        counts[due]["scheduled"] += 1
        counts[due]["sent"] += 1
        if one.failure:
            failures[end][one.failure] += 1
        else:
            counts[end]["succeeded"] += 1
            times[end].append(ns(one.end - one.due))
    return {
        index: LoadSecond(
            index, **counts[index], failures=dict(failures[index]),
            duration=(own := histogram.of(times[index])), response_time=own, first_byte=own,
            dispatch_delay=histogram.of([100_000] * counts[index]["sent"]),
            samples=tuple(_sample(kind) for kind in failures[index]),
        )
        for index in {*counts, *failures, *times}
    }  # fmt: skip


def _sample(kind: str) -> ResponseSample:
    return ResponseSample(
        kind, 200, (("content-type", "text/html"),), "<html>", "`token` not found in the body"
    )


_SUMS = ("scheduled", "sent", "succeeded", "completed")
_MERGED = ("duration", "response_time", "first_byte", "dispatch_delay")


def _whole(
    index: int,
    parts: dict[str, LoadSecond],
    scenarios: dict[str, LoadSecond],
    requests: dict[str, list[Request]],
    window_s: float,
) -> LoadSecond:
    counts = {name: sum(getattr(part, name) for part in parts.values()) for name in _SUMS}
    merged: dict[str, Any] = {
        name: histogram.merge(getattr(part, name) for part in parts.values()) for name in _MERGED
    }
    failures: Counter[str] = Counter()
    for part in parts.values():
        failures.update(part.failures)
    now = min(index + 1.0, window_s)
    in_flight = sum(one.due <= now < one.end for own in requests.values() for one in own)
    samples = tuple(sample for part in parts.values() for sample in part.samples)
    return LoadSecond(
        index, **counts, **merged, failures=dict(failures), in_flight=in_flight, cpu_s=0.1, parts=parts,
        scenarios=scenarios, samples=samples,
    )  # fmt: skip


def _scenario(name: str, runs: Sequence[User], window_s: float, warmup_s: float) -> ScenarioFacts:
    o = order(20.0, window_s, warmup_s)
    ended = [Ended(run.due + warmup_s, run.end + warmup_s, not run.failure) for run in runs]
    return ScenarioFacts(
        planned=sum(run.due >= 0 for run in runs),
        share=SHARES[name],
        steps=tuple(f"{name}/{step}" for step in STEPS[name]),
        backlog=record(o, ended).backlog,
    )


def scenario_trial(made: Sequence[User], rate: float | Ramp = 20.0, **changes: Any) -> TrialFacts:
    """Return a trial of `SPEC`, whose app uses a fifth of a core."""
    name = f"{rate.begin:g} to {rate.to:g} users/s" if isinstance(rate, Ramp) else f"{rate:g} users/s"
    window_s = changes.get("window_s", 10.0)
    warmup_s = changes.get("warmup_s", 0.0)
    return replace(
        trial(0, name, 1, 1, 1.0, 0.2),
        **{
            "target_rps": None, "users_per_s": rate, "window_s": window_s, "warmup_s": warmup_s,
            "load": facts_of(made, window_s, warmup_s), "observed": observed(0.2, seconds=window_s),
        } | changes,
    )  # fmt: skip
