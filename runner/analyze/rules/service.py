"""The rule for services whose CPU is used up: a database, a cache, an upstream.

A service is a part of the stack with a name of its own, or a program outside the experiment that the app has
connections to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from msgspec.structs import replace

from runner.analyze import programs
from runner.analyze.rules.cpu_bounds import THROTTLED, full_cpu_set, throttled_evidence, throttled_shares
from runner.analyze.rules.parts import (
    HOST_FULL,
    host_is_full,
    host_use,
    largest_consumer,
    roles,
    services,
    title,
    used_by,
    word,
)
from runner.analyze.rules.peers import waiting_evidence, waits_for
from runner.analyze.rules.threads import ONE_CORE, Thread, busiest_thread, threads
from runner.analyze.rules.types import Judgement, Match, Rule
from runner.core.codes import Cause, Confidence, Limit, Role, RoleName
from runner.core.findings import Evidence, Finding, RuledOut
from runner.core.observed_results import ProgramUsage
from runner.core.stage_results import Stage
from runner.core.units import percent

_LEAST_WAITING: Final = 0.5
"""Requests in flight to a service, on average, from which requests wait for it; our own bound."""
_CHEAPER: Final = "ask less of it for each request (cheaper or fewer statements, an index, a cache)"
_THREAD_ADVICE: Final = f"{_CHEAPER}, or spread its work over more threads, processes or replicas"


def _judge(stage: Stage, cores: int | None) -> Judgement:
    """Match the service whose CPU is used up and that most requests wait for."""
    findings = [*_of_services(stage, cores), *_of_programs(stage, cores)]
    if findings:
        return Match(max(findings, key=lambda finding: _rank(stage, finding)))
    seen = [_seen(stage, name) for name in services(stage)]
    seen += [
        f"{programs.name_of(program)} used {program.cores:.2f} cores" for program in programs.services(stage)
    ]
    return RuledOut(Limit.SERVICE, "; ".join(seen)) if seen else None


def _rank(stage: Stage, finding: Finding) -> tuple[bool, float]:
    return finding.confidence is Confidence.LIKELY, waits_for(stage, finding.service or "") or 0.0


def _seen(stage: Stage, name: str) -> str:
    thread = busiest_thread(stage, name)
    busiest = f", its busiest thread {thread.used:.2f}" if thread else ""
    return f"{name} used {used_by(stage, name) or 0.0:.2f} cores{busiest}"


def _of_services(stage: Stage, cores: int | None) -> Iterator[Finding]:
    for name in services(stage):
        finding = next(filter(None, (sign(stage, cores, name) for sign in _SIGNS)), None)
        if finding:
            yield finding


def _finding(
    stage: Stage, service: str, summary: str, evidence: tuple[Evidence, ...], advice: str
) -> Finding:
    """Return a finding; it is a hint if hardly any request was in flight to the service."""
    waiting, confidence = waits_for(stage, service), Confidence.LIKELY
    if waiting is not None and waiting < _LEAST_WAITING:
        summary += f", but on average only {waiting:.1f} requests of the app waited for it"
        confidence = Confidence.HINT
    waited = waiting_evidence(stage, service)
    return Finding(Limit.SERVICE, confidence, summary, (*evidence, *waited), advice, word(service))


def _quota(stage: Stage, cores: int | None, name: str) -> Finding | None:
    del cores
    shares = throttled_shares(stage, name)
    worst = max(shares.values(), default=0.0)
    if worst <= THROTTLED:
        return None
    summary = (
        f"the CPU limit of {name} throttled it in {percent(worst)} of the periods in which it wanted to run"
    )
    return _finding(
        stage, name, summary, throttled_evidence(shares), f"raise the CPU limit of {name}, or {_CHEAPER}"
    )


def _thread(stage: Stage, cores: int | None, name: str) -> Finding | None:
    busiest = busiest_thread(stage, name)
    if busiest is None or not busiest.is_full:
        return None
    summary = f"a thread of {busiest.describe(host_use(stage, cores))}{_app_beside(stage)}"
    return _finding(stage, name, summary, tuple(busiest.evidence("thread")), _THREAD_ADVICE)


def _starved_thread(stage: Stage, cores: int | None, name: str) -> Finding | None:
    """Match, as a hint, a thread that always wanted a processor and often had none, as the host was full."""
    del cores
    busiest = max(threads(stage, name), key=lambda thread: thread.wanted, default=None)
    if busiest is None or busiest.wanted < ONE_CORE:
        return None
    summary = (
        f"a thread of {busiest.name} ran or was ready to run {percent(busiest.wanted)} of the time, and had "
        f"a processor {percent(busiest.used)} of it"
    )
    finding = _finding(stage, name, summary, tuple(busiest.evidence("thread")), _THREAD_ADVICE)
    return replace(finding, confidence=Confidence.HINT)


def _app_beside(stage: Stage) -> str:
    """Return that a thread of the app is full as well; empty otherwise."""
    app = busiest_thread(stage, Role.APP)
    return f"; the app's busiest thread was full as well, at {app.used:.2f}" if app and app.is_full else ""


def _processors(stage: Stage, cores: int | None, name: str) -> Finding | None:
    full = full_cpu_set(stage, cores, name)
    if full is None:
        return None
    summary = full.describe(title(stage, name), host_use(stage, cores))
    advice = f"let it run on more processors, or {_CHEAPER}"
    return _finding(stage, name, summary, full.evidence(f"CPU of {name}"), advice)


def _host(stage: Stage, cores: int | None, name: str) -> Finding | None:
    """Match if no CPU is left on the host and this service uses more than all other parts together."""
    largest = largest_consumer(stage)
    if largest.role != name or not _fills_host(stage, cores, name, largest.cores):
        return None
    return _host_finding(stage, cores, name, largest.cores)


def _fills_host(stage: Stage, cores: int | None, name: RoleName, used: float) -> bool:
    app = busiest_thread(stage, Role.APP)
    others = sum(used_by(stage, role) or 0.0 for role in roles(stage) if role != name)
    return host_is_full(stage, cores) and used > others and not (app and app.is_full)


def _host_finding(
    stage: Stage, cores: int | None, service: str, used: float, program: ProgramUsage | None = None
) -> Finding:
    name = f"the program {programs.name_of(program)}" if program else title(stage, service)
    summary = f"{name} used {used:.2f} cores{host_use(stage, cores)}: no CPU was left, and it used most of it"
    evidence = (
        Evidence(f"CPU of {programs.name_of(program) if program else service}", used, "cores"),
        Evidence(
            "host CPU", used_by(stage, Role.SYSTEM) or 0.0, "cores", HOST_FULL * (cores or 0),
            "netdata: 95 % is critical",
        ),
    )  # fmt: skip
    return _finding(stage, service, summary, evidence, f"{_CHEAPER}, or move it to a host of its own")


def _of_programs(stage: Stage, cores: int | None) -> Iterator[Finding]:
    """Yield a finding for each program outside the experiment that serves the app and is at its limit."""
    largest = largest_consumer(stage).program
    for program in programs.services(stage):
        if programs.has_full_thread(program):
            yield _program_thread(stage, cores, program)
        elif program is largest and _fills_host(stage, cores, "", program.cores):
            finding = _host_finding(stage, cores, program.name, program.cores, program)
            yield _outside(finding, program)


def _program_thread(stage: Stage, cores: int | None, program: ProgramUsage) -> Finding:
    used = program.busiest_thread or 0.0
    thread = Thread(programs.name_of(program), used, used)
    summary = f"a thread of {thread.describe(host_use(stage, cores))}{_app_beside(stage)}"
    evidence = (*thread.evidence("thread"), Evidence(f"CPU of {program.name}", program.cores, "cores"))
    return _outside(_finding(stage, program.name, summary, evidence, _THREAD_ADVICE), program)


def _outside(finding: Finding, program: ProgramUsage) -> Finding:
    """Return a finding about a program outside the experiment, with how to make it a part."""
    where = f"{{port: {program.port}}}" if program.port else f"{{name: {program.name}}}"
    name = re.sub(r"[^a-z0-9]+", "-", program.name.lower()).strip("-") or "service"
    advice = (
        f"{finding.advice}; add it to the system (topology.watch: {{{name}: {where}}}) to observe all of it"
    )
    summary = f"{finding.summary}; it served the app's connections and is no part of the experiment"
    return replace(finding, summary=summary, advice=advice)


_SIGNS: Final[tuple[Callable[[Stage, int | None, str], Finding | None], ...]] = (
    _quota,
    _thread,
    _processors,
    _host,
    _starved_thread,
)
SERVICE: Final = Rule(Limit.SERVICE, _judge, caused_by=frozenset({Cause.SERVICE_CPU}))
