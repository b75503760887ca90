"""Applies a rule that was made for one machine to a stage on several, and names the node that it finds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from runner.analyze.machines import Machine, busiest, machines
from runner.analyze.rules.types import Judgement, Match, Rule
from runner.core.codes import Confidence, Role
from runner.core.findings import Evidence, RuledOut
from runner.core.stage_results import Stage

_MOST_CERTAIN_FIRST: Final = tuple(Confidence)
_NAMED: Final = 3
_OWN: Final = "the runner's machine"


def judge(rules: Iterable[Rule], stage: Stage, cores: int | None) -> list[Judgement]:
    """Return what each rule finds on the machine where it is most certain; of equals, on the busiest.

    Args:
        rules: The rules.
        stage: On one machine or several.
        cores: Of the runner's own machine.
    """
    known = machines(stage, cores)
    whole = busiest(stage, known)
    return [
        _located(rule, rule.judge(whole.stage, whole.cores), stage)
        if not stage.nodes or rule.of_whole(stage)
        else _on_each(rule, known)
        for rule in rules
    ]


def _located(rule: Rule, judgement: Judgement, stage: Stage) -> Judgement:
    """Name the node of a limit inside the app, or inside a service, if all of it runs there."""
    if not (rule.inside and isinstance(judgement, Match)):
        return judgement
    role = judgement.finding.service or Role.APP
    parts = {name for name, subject in stage.cpu_cores_by_subject.items() if subject.role == role}
    node = next((node.name for node in stage.nodes if parts and parts <= set(node.subjects)), None)
    if node is None:
        return judgement
    return Match(replace(judgement.finding, node=node), judgement.independent)


def _on_each(rule: Rule, known: Sequence[Machine]) -> Judgement:
    judged = [
        (machine, rule.judge(machine.stage, machine.cores))
        for machine in known
        if machine.has_system or rule.on_generators
    ]
    matches = [(machine, match) for machine, match in judged if isinstance(match, Match)]
    if matches:
        return _first(matches)
    return _ruled_out([(machine, out) for machine, out in judged if isinstance(out, RuledOut)])


def _first(matches: Sequence[tuple[Machine, Match]]) -> Match:
    """Return the most certain match with its node, and the main number of each other one.

    What happened on some of the machines, as an event whose sentence names the node, explains a stage better
    than what was only counted on others.
    """
    if happened := [it for it in matches if it[0].stage.events]:
        matches = happened
    ranked = sorted(matches, key=lambda it: _MOST_CERTAIN_FIRST.index(it[1].finding.confidence))
    (machine, match), *others = ranked
    finding, name = match.finding, machine.name or _OWN
    evidence = [_on(name, item) for item in finding.evidence]
    for other, also in others[:_NAMED]:
        evidence += [_on(other.name or _OWN, item) for item in also.finding.evidence[:1]]
    also_on = f"; the same holds on {_names([other for other, _ in others])}" if others else ""
    where = "" if happened else f"on {name}, "
    named = replace(
        finding,
        summary=f"{where}{finding.summary}{also_on}",
        evidence=tuple(evidence),
        advice=_advice(machine.name, match),
        node=machine.name or UNSET,
    )
    return Match(named, match.independent)


def _advice(node: str, match: Match) -> str:
    """Return what to try; on a node, without keys that only topologies on one machine have."""
    return match.node_advice.format(node=node) if node and match.node_advice else match.finding.advice


def _on(name: str, item: Evidence) -> Evidence:
    return replace(item, name=f"{item.name} on {name}")


def _names(known: Sequence[Machine]) -> str:
    named = [machine.name or _OWN for machine in known[:_NAMED]]
    more = len(known) - len(named)
    return ", ".join([*named, *([_nodes(more, "more")] if more else [])])


def _ruled_out(outs: Sequence[tuple[Machine, RuledOut]]) -> RuledOut | None:
    """Return why a limit applies on no machine, by machine where the reasons differ."""
    if not outs:
        return None
    first = outs[0][1]
    if len(outs) > 1 and all(out.why == first.why for _, out in outs):
        return first
    reasons = [f"on {machine.name or _OWN}, {out.why}" for machine, out in outs[:_NAMED]]
    more = len(outs) - len(reasons)
    others = [f"nor on {_nodes(more, 'other')}"] if more else []
    return RuledOut(first.code, "; ".join([*reasons, *others]))


def _nodes(count: int, which: str) -> str:
    return f"{count} {which} {'node' if count == 1 else 'nodes'}"
