"""The specification for a draft: what is written runs as it is, and says what could not be taken over."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final

from runner.core.units import Seconds
from runner.experiment.quantities import format_time
from runner.experiment.suggestions import harmless, slug
from runner.experiment.url import host_of, is_loopback, literal
from runner.importers.draft import ChoiceDraft, Draft, PauseDraft, RepeatDraft, StepDraft
from runner.importers.request_text import as_data, number
from runner.importers.yaml_writer import to_yaml

_ENDINGS: Final = re.compile(
    r"(?:\.(?:har|json|ya?ml|log|txt|gz|[0-9]{1,4}|postman_collection))+$", re.IGNORECASE
)
_GENERIC: Final = frozenset(
    {"", "access", "api", "archive", "collection", "localhost", "log", "openapi", "recording", "swagger"}
)
"""Names of files that say nothing about the service."""
MAX_LINES: Final = 100
"""How many lines of what could not be taken over are in a file."""
_MAX_LINE: Final = 200
_SHORTEST_STAGE_S: Final = 10
_LONGEST_TIMEOUT_S: Final = 1800
_SLACK_S: Final = 10


def default_name(draft: Draft, file: str) -> str:
    """Return a valid name for the experiment: the title in the file, or the name of the file."""
    stem = _ENDINGS.sub("", file)
    known = draft.name or (stem if slug(stem) not in _GENERIC else "")
    name = slug(known) or slug("" if is_local(draft.url) else host_of(draft.url))
    return name[:40].strip("-") or "my-service"


def spec_text(draft: Draft, name: str, file: str, *, insecure: bool = False) -> str:
    """Return the text of a specification.

    Args:
        draft: With requests or scenarios, and the URL of the service.
        name: Of the experiment.
        file: Name of the imported file, for the comments.
        insecure: Accept any certificate.
    """
    load = _load(draft)
    head = {
        "version": 1,
        "name": name,
        "title": f"Load test of {harmless(draft.name or draft.url)}"[:_MAX_LINE],
        "objective": "Find the highest rate that the service sustains, and what limits it.",
    }
    topology: dict[str, Any] = {"kind": "external", "url": draft.url}
    if insecure and draft.url.startswith("https:"):
        topology["tls"] = {"insecure": True}
    blocks = (
        _comments(draft, file),
        to_yaml(head),
        to_yaml({"topology": topology}),
        to_yaml({"load": load}),
        _stages(draft),
        to_yaml({"cooldown": "1s"}),
        _thresholds(draft),
    )
    return "\n".join(blocks)


def is_local(url: str) -> bool:
    """Return whether the host of a URL is this machine."""
    host = host_of(url)
    return host == "localhost" or (literal(host) is not None and is_loopback(host))


def _load(draft: Draft) -> dict[str, Any]:
    load: dict[str, Any] = {}
    requests = [as_data(request, in_mix=True) for request in draft.requests]
    scenarios = [_scenario(draft, index) for index in range(len(draft.scenarios))]
    if draft.variables:
        load["variables"] = {name: dict(one) for name, one in draft.variables.items()}
    if requests:
        load["requests"] = requests
    if scenarios:
        load["scenarios"] = scenarios
    load["timeout"] = format_time(_timeout_s(draft))
    if not is_local(draft.url):
        load["allow_hosts"] = [host_of(draft.url)]
    return load


def _scenario(draft: Draft, index: int) -> dict[str, Any]:
    scenario = draft.scenarios[index]
    data: dict[str, Any] = {"name": scenario.name}
    if len(draft.scenarios) > 1:
        data["weight"] = number(scenario.weight)
    return data | {"steps": [_step(step) for step in scenario.steps]}


def _step(step: StepDraft) -> dict[str, Any]:
    match step:
        case PauseDraft():
            return {"pause": f"{step.seconds:g}s"}
        case ChoiceDraft():
            branches = [{"steps": [as_data(request, in_mix=False)]} for request in step.requests]
            return {"choose": branches}
        case RepeatDraft():
            until = {"until": dict(step.until)} if step.until else {}
            return {"repeat": step.times, **until, "steps": [_step(one) for one in step.steps]}
    return as_data(step, in_mix=False)


def _length_s(draft: Draft) -> Seconds:
    """Return how long the longest scenario takes without its requests."""
    pauses = ([_pauses_s(step) for step in one.steps] for one in draft.scenarios)
    return max(map(sum, pauses), default=0.0)


def _pauses_s(step: StepDraft) -> Seconds:
    """Return how long a step pauses; a loop, in as many rounds as it may have."""
    if isinstance(step, RepeatDraft):
        return step.times * sum(map(_pauses_s, step.steps))
    return step.seconds if isinstance(step, PauseDraft) else 0.0


def _timeout_s(draft: Draft) -> Seconds:
    """Return a time limit within which users who start last still finish."""
    return min(math.ceil(_length_s(draft)) + _SLACK_S, _LONGEST_TIMEOUT_S)


def _stages(draft: Draft) -> str:
    key = "users_per_s" if draft.scenarios else "rps"
    rates = draft.rates or ((1, 2, 5) if draft.scenarios else (10, 50, 100))
    seconds = max(_SHORTEST_STAGE_S, math.ceil(_length_s(draft)))
    stages = [{key: number(rate), "duration": format_time(seconds), "warmup": "1s"} for rate in rates]
    return to_yaml({"stages": stages})


def _thresholds(draft: Draft) -> str:
    lines = ["errors < 1%", *(["scenario_errors < 1%"] if draft.scenarios else [])]
    return to_yaml({"thresholds": lines})


def _comments(draft: Draft, file: str) -> str:
    """Return comments that say where the specification comes from, and what it does not contain."""
    lines = [
        f"Generated by `runner init --from` from {draft.source}: {file}",
        "`runner validate` checks it, `runner execute` runs it, `runner schema --markdown` lists all keys.",
    ]
    if draft.secrets:
        lines += ["", "Set before a run, because secrets are in no file:"]
        lines += [f"  export {name}=…" for name in draft.secrets]
    for title, notes in (("Not taken over:", draft.left_out), ("Changed:", draft.changed)):
        if notes:
            lines += ["", title, *(f"  - {note}" for note in shown(notes, MAX_LINES))]
    return "".join(f"# {harmless(line)[:_MAX_LINE]}".rstrip() + "\n" for line in lines)


def shown(notes: Sequence[str], most: int) -> Sequence[str]:
    """Return the first notes, and how many more there are."""
    if len(notes) <= most:
        return notes
    return [*notes[: most - 1], f"and {len(notes) - most + 1:,} more"]
