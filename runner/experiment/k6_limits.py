"""What the engine k6 cannot do as the built-in engine does, refused when a specification is read.

Two engines that check different things must not be compared, and a stage must not run with other settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from math import gcd, lcm
from typing import TYPE_CHECKING, Final

from runner.core import jsonpath, template
from runner.core.metrics import LATENCIES
from runner.experiment.base_model import Conflict, conflict_if
from runner.experiment.expect import Expect, HeaderRules
from runner.experiment.request import NamedRequest
from runner.experiment.suggestions import join_words

if TYPE_CHECKING:
    from runner.experiment.thresholds import Threshold
    from runner.experiment.traffic import Load

UNMEASURED: Final = frozenset({"response_time", "dispatch_delay", "first_byte"})
"""Latencies that k6 does not report: it tells neither when a request was due nor its first byte."""

MAX_PERIOD: Final = 4096
"""The longest order of a mix that k6 is given."""

_TOKEN: Final = re.compile(
    r"(?P<class>\[\^?(?:[^\]\[\\^]|\\[dwDWnrt\]\[\\^.*+?(){}|$/-])(?:[^\]\[\\]|\\[dwDWnrt\]\[\\^.*+?(){}|$/-])*\])"
    r"|(?P<dot>\.)"
    r"|(?P<edge>\^|\$|\\[bB])"
    r"|(?P<opening>\((?:\?:)?)"
    r"|(?P<bar>\|)"
    r"|(?P<closing>\))"
    r"|(?P<quantifier>(?:[*+?]|\{[0-9]{1,3}(?:,[0-9]{0,3})?\})\??)"
    r"|(?P<atom>\\[dwDWnrt^$\\.*+?()\[\]{}|/]|[^\\^$.*+?()\[\]{}|\n])"
)
"""The part of RE2's syntax that JavaScript reads in the same way."""
_REPEATABLE: Final = frozenset({"class", "dot", "closing", "atom"})


def javascript(pattern: str) -> str | None:
    """Return an expression that matches the same in JavaScript, with flag u; None if there may be none."""
    pieces, at, last = [], 0, "opening"
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)
        kind = token.lastgroup if token else None
        if token is None or kind is None or (kind == "quantifier" and last not in _REPEATABLE):
            return None
        pieces.append(r"[^\n]" if kind == "dot" else token[0])
        at, last = token.end(), kind
    return "".join(pieces)


def k6_conflicts(load: Load) -> Iterator[Conflict | None]:
    """Yield what a load that uses k6, alone or in a cross-check, cannot have."""
    alone = load.engine == "k6"
    subject = "engine k6" if alone else "cross_check uses engine k6, which"
    if alone:
        message = "engine k6 has no quantum; it chooses the sending times itself"
        yield conflict_if(load.quantum is not None, ("quantum",), message)
        yield conflict_if(load.cpus, ("cpus",), "engine k6 cannot be bound to processors")
    if alone or load.cross_check:
        poisson, queue = load.arrivals == "poisson", load.when_full == "queue"
        yield conflict_if(poisson, ("arrivals",), f"{subject} supports only constant arrivals")
        no_queue = f"{subject} has no queue: it always drops at max_in_flight"
        yield conflict_if(queue, ("when_full",), no_queue)
        yield from _variable_conflicts(load, subject)
        yield from _mix_conflicts(load, subject)


def unmeasured_thresholds(
    thresholds: Iterable[tuple[tuple[str | int, ...], Threshold]],
) -> Iterator[Conflict]:
    """Yield each threshold on a latency that k6 does not report, of all thresholds with where they are."""
    measured = [kind.name for kind in LATENCIES if kind.name not in UNMEASURED]
    for at, threshold in thresholds:
        kind, _, statistic = threshold.metric.partition(".")
        if kind in UNMEASURED:
            message = f"engine k6 does not measure {threshold.metric}"
            hint = f"use duration.{statistic} or engine builtin; k6 measures {join_words(measured, 'and')}"
            yield Conflict(at, message, hint)


def _variable_conflicts(load: Load, subject: str) -> Iterator[Conflict]:
    for name, variable in load.variables.items():
        if not variable.is_secret:
            message = f"{subject} cannot send the same values of {variable.source}"
            yield Conflict(("variables", name), message, "use engine builtin without cross_check")


def _mix_conflicts(load: Load, subject: str) -> Iterator[Conflict | None]:
    long = period([part.weight for part in load.parts]) > MAX_PERIOD
    message = f"{subject} needs weights that add up to at most {MAX_PERIOD:,} as whole numbers"
    yield conflict_if(long, ("requests",), message, "round the weights")
    for index, part in enumerate(load.parts):
        at = ("requests", index) if load.is_mix else ("request",)
        own = not load.is_mix or load.requests[index].expect is not None
        expected = (*at, "expect") if load.is_mix and own else ("expect",)
        yield from (Conflict((*at, *c.at), c.message, c.hint) for c in _body_conflicts(part, subject))
        yield from (
            Conflict((*expected, *c.at), c.message, c.hint) for c in _check_conflicts(part.criteria, subject)
        )


def period(weights: list[float]) -> int:
    """Return after how many requests the order of a mix repeats; see `runner.core.mix`."""
    from fractions import Fraction  # noqa: PLC0415  (takes 5 ms to import, and few specifications use k6)

    exact = [Fraction(str(weight)) for weight in weights]
    scale = lcm(*(weight.denominator for weight in exact))
    numbers = [int(weight * scale) for weight in exact]
    return sum(numbers) // gcd(*numbers)


def _body_conflicts(part: NamedRequest, subject: str) -> Iterator[Conflict]:
    """Yield values in a body of bytes: k6 would have to encode text in JavaScript."""
    has_file = any(one.file for one in part.multipart or ())
    for index, one in enumerate(part.multipart or ()):
        if has_file and one.value is not None and template.names(one.value):
            message = f"{subject} cannot insert variables in a multipart body with a file"
            yield Conflict(("multipart", index, "value"), message)


def _check_conflicts(expect: Expect, subject: str) -> Iterator[Conflict]:
    hint = "use engine builtin without cross_check"
    plain = "use literal text, classes such as [0-9] and \\d, groups, | and * + ? {n}, or engine builtin"
    message = f"{subject} reads this regular expression differently"
    if expect.body_matches is not None and javascript(expect.body_matches) is None:
        yield Conflict(("body_matches",), message, plain)
    for name, rules in expect.headers.items():
        pattern = rules.matches if isinstance(rules, HeaderRules) else None
        if pattern is not None and javascript(pattern) is None:
            yield Conflict(("headers", name, "matches"), message, plain)
    for path in expect.json_checks:
        if jsonpath.steps_of(path) is None:
            yield Conflict(("json", path), f"{subject} supports JSONPath of names and indices only", hint)
