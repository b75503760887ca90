"""What a rule is and what it returns: a finding with evidence, or the number that rules its limit out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from runner.core.codes import Cause, Limit, Role
from runner.core.findings import Finding, RuledOut
from runner.core.stage_results import Stage

CPU_LIMITS: Final = frozenset(
    {Limit.APP_QUOTA, Limit.APP_CPU, Limit.PROXY_CPU, Limit.FORWARDER, Limit.HOST_CPU}
)
"""Limits at which something needs CPU and gets none."""
OF_SERVICES: Final = frozenset({Limit.SERVICE, Limit.POOL, Limit.IO})
"""Limits at which the app waits for something else, so that requests and connections queue in front of it."""
OWN_BOUND: Final = "Loadproof's own bound"
"""Source of a threshold that no authority defines."""


@dataclass(frozen=True, slots=True)
class Match:
    """A limit that applies to a stage.

    Attributes:
        finding: As in the results.
        independent: Whether what was observed cannot be the consequence of another limit.
        node_advice: What to try where the limit is on a node of a cluster, with ``{node}`` for its name;
            empty where it is the same as on one machine.
        explains: Whether it can be why the stage fell short; else it was merely observed as well.
        of_backlog: Whether it is the end of a queue that was never empty: next to requests that wait inside
            the service it is a consequence, and no reason for them.
    """

    finding: Finding
    independent: bool = False
    node_advice: str = ""
    explains: bool = True
    of_backlog: bool = False


Judgement: TypeAlias = Match | RuledOut | None
"""None: nothing was measured that could decide."""
Judge: TypeAlias = Callable[[Stage, int | None], Judgement]
"""Takes a credible stage that fell short of its target, and the host's number of cores."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A limit, how it is detected, and how it relates to other limits.

    Attributes:
        limit: The limit.
        judge: Detects it or rules it out.
        follows: Limits that can bring it about: next to one of them it is a hint, unless it is independent.
        doubted_by: Limits next to which it is likely at most.
        caused_by: Causes that belong to this limit in a hypothesis.
        saturated_role: Whose CPU is saturated at this limit.
        of_whole: Of a stage on several machines: whether the rule judges all of it at once, and not each
            machine alone.
        inside: Whether a limit of the whole stage is inside the app, or the service that the finding names.
        on_generators: Whether it also judges machines on which no part of the system runs.
    """

    limit: Limit
    judge: Judge
    follows: frozenset[Limit] = frozenset()
    doubted_by: frozenset[Limit] = frozenset()
    caused_by: frozenset[Cause] = frozenset()
    saturated_role: Role | None = None
    of_whole: Callable[[Stage], bool] = lambda _: False
    inside: bool = False
    on_generators: bool = False
