"""Translates a specification's criteria into what workers check."""

from __future__ import annotations

from typing import Any

from runner.core.template import unescaped
from runner.experiment.expect import Expect, HeaderRules, JsonRules
from runner.load.checks import CheckOrder, HeaderCheck, JsonCheck


def check_order(expect: Expect) -> CheckOrder:
    """Return what a successful response looks like."""
    return CheckOrder(
        statuses=expect.statuses,
        contains=tuple(unescaped(text).encode() for text in expect.body_contains),
        excludes=tuple(unescaped(text).encode() for text in expect.not_body_contains),
        pattern=expect.body_matches or "",
        json=tuple(_json(path, rules) for path, rules in expect.json_checks.items()),
        headers=tuple(_header(name.lower(), rules) for name, rules in expect.headers.items()),
    )


def _json(path: str, rules: Any) -> JsonCheck:
    if not isinstance(rules, JsonRules):
        return JsonCheck(path, value=(_literal(rules),))
    return JsonCheck(path, min=rules.min, max=rules.max, exists=rules.exists is not False)


def _literal(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_literal(item) for item in value]
    return unescaped(value) if isinstance(value, str) else value


def _header(name: str, rules: str | HeaderRules) -> HeaderCheck:
    if isinstance(rules, str):
        return HeaderCheck(name, equals=unescaped(rules))
    return HeaderCheck(
        name,
        contains=unescaped(rules.contains or ""),
        matches=rules.matches or "",
        exists=rules.exists is not False,
    )
