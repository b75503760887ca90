"""What limits a stage: every rule is asked, and the ranking says what was found and what was ruled out.

*Proven* needs a counter that cannot rise for another reason, or a counter-experiment. A full accept queue
proves that connections were turned away; when the app, its quota or the host had no CPU left, it is
their consequence and no cause.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from runner.analyze.rules import cpu, errors
from runner.analyze.rules.concurrency import concurrency, memory
from runner.analyze.rules.connections import connections
from runner.analyze.rules.types import Evidence, Finding, Rule, RuledOut, Stage
from runner.core.units import percent

_RULES: Final[tuple[Rule, ...]] = (
    memory,
    connections,
    errors.refused,
    cpu.throttled,
    cpu.app,
    cpu.proxy,
    cpu.forwarder,
    cpu.host,
    concurrency,
)
_SURE: Final = {"proven": 0, "likely": 1, "hint": 2}
_BUSY: Final = frozenset(
    {"app-quota-throttled", "app-cpu-limited", "proxy-cpu-limited", "forwarder-limited", "host-cpu-limited"}
)


_SURELY_REFUSED: Final = ("error-limited", "proven")
_LITTLE: Final = 0.95
"""Achieved from here on, a shortfall may be chance."""


def verdict(stage: Stage, validity: str, cores: int | None, *, asked: bool = True) -> dict[str, Any]:
    """The first finding names the limit; the rest is what else was found, and what was ruled out.

    Args:
        stage: The stage's numbers, as in results.json.
        validity: Whether they may be believed.
        cores: How many cores the host has, None when unknown.
        asked: Whether it also kept what a search asks of it. A probe that answered its rate and was too
            slow has met a limit, where one shows; where none does, it is within capacity all the same.
    """
    findings, excluded = _judged(stage, validity, cores, asked=asked)
    chief = findings[0]
    return {
        "code": chief.code,
        "confidence": chief.confidence,
        "findings": [_as_json(finding) for finding in findings],
        "ruled_out": [asdict(each) for each in excluded],
    }


def _judged(
    stage: Stage, validity: str, cores: int | None, *, asked: bool
) -> tuple[list[Finding], list[RuledOut]]:
    if stage["status"] == "failed":
        died = memory(stage, cores)
        return [died if isinstance(died, Finding) else _undetermined(stage)], []
    if validity == "invalid":
        return [errors.generator(stage)], []
    held = errors.within(stage)
    if held and asked:
        return [held], []
    judged = [rule(stage, cores) for rule in _RULES]
    found = _ranked([each for each in judged if isinstance(each, Finding)])
    excluded = [each for each in judged if isinstance(each, RuledOut)]
    if held and not found:
        return [held], []
    return found or [_undetermined(stage)], excluded


def _ranked(found: Sequence[Finding]) -> list[Finding]:
    """Surest first; what a lack of CPU brings about comes after it."""
    codes = {each.code for each in found}
    weighed = [replace(each, confidence="hint") if _follows(each, codes) else each for each in found]
    if not _BUSY.isdisjoint(codes):  # an app may refuse what it has no CPU for
        weighed = [
            replace(each, confidence="likely") if (each.code, each.confidence) == _SURELY_REFUSED else each
            for each in weighed
        ]
    return sorted(weighed, key=lambda each: _SURE[each.confidence])


def _follows(finding: Finding, codes: Collection[str]) -> bool:
    """Whether it is what one of the other limits brings about."""
    if finding.code == "connection-limited":
        return not _BUSY.isdisjoint(codes) and not _own(finding)
    if finding.code == "app-concurrency-limited":
        return len(codes) > 1
    return finding.code == "error-limited" and not {"connection-limited", "memory-limited"}.isdisjoint(codes)


def _own(finding: Finding) -> bool:
    """Ports, tables and nginx's own room run out by themselves, whatever the CPUs do."""
    return not any("overflows" in item.name or "SYNs" in item.name for item in finding.evidence)


def _as_json(finding: Finding) -> dict[str, Any]:
    return asdict(finding) | {"evidence": [asdict(item) for item in finding.evidence]}


def _undetermined(stage: Stage) -> Finding:
    achieved = stage["achieved"]
    if achieved is None:
        return Finding("undetermined", "hint", "nothing was measured", (), "run it again")
    unseen = stage["cpu_cores"].get("app") is None
    return Finding(
        "undetermined",
        "hint",
        f"{percent(achieved, 1)} of the target was achieved, and no counter that was read shows why"
        + ("; the service's own CPU and threads were not seen" if unseen else ""),
        (Evidence("achieved", achieved * 100, "%", errors.ACHIEVED * 100, "Loadproof's own bound"),),
        _look_closer(achieved, unseen=unseen),
    )


def _look_closer(achieved: float, *, unseen: bool) -> str:
    if unseen:
        return "name the service's processes (topology.pids), or run this on the host that it runs on"
    if achieved >= _LITTLE:
        return "hold the rate for longer or repeat it: so small a shortfall may be chance"
    return "let the service tell more (app.metrics) and read its own log of this time"
