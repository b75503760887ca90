"""The differences between two archives other than the measured numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from difflib import unified_diff
from typing import Final

from runner.archive import host, lock
from runner.archive.provenance import BEFORE, GIT, SOFTWARE, json_file
from runner.core.comparison import SideBySide

LOCK: Final = "lock.json"

_ALWAYS_DIFFER: Final = (
    "journal.ndjson",
    "results.json",
    "report.md",
    "histograms.hlog",
    "run.json",
    "charts/",
    "logs/",
)
_TEXT: Final = ("spec.yaml", "spec.resolved.yaml", "rendered/")
_FACTS: Final = (LOCK, BEFORE, GIT)
_MOMENTARY: Final = (
    "taken_at",
    "load.",
    "memory_mib.available",
    "memory_mib.swap_free",
    "clock.uptime_s",
    "unreadable.",
    "environment.load_average_1m",
)
"""Facts of a host that differ from one minute to the next."""

_DUPLICATES: Final = tuple(
    f"environment.{name}"
    for name in (
        "loadproof", "python", "memory_mib", "open_files_soft", "open_files_hard", "clocksource",
        "cpu_governor", "ip_local_port_range", "tcp_tw_reuse", "somaxconn", "tcp_max_syn_backlog",
        "nf_conntrack_max",
    )
)  # fmt: skip
"""Facts that are also in another place."""
_HIDDEN_PREFIXES: Final = ("software.packages.", "software.", "configurations.", "environment.")


def differences(base: Mapping[str, bytes], head: Mapping[str, bytes]) -> list[str]:
    """Return one line per difference; specifications and rendered files as unified diffs.

    Args:
        base: Files of the first archive.
        head: Files of the second archive.
    """
    return [
        *(f"only in the first: {name}" for name in sorted(base) if name not in head),
        *(f"only in the second: {name}" for name in sorted(head) if name not in base),
        *(line for name in sorted(base) if name in head for line in _lines(name, base[name], head[name])),
    ]


def surroundings(base: Mapping[str, bytes], head: Mapping[str, bytes]) -> list[SideBySide]:
    """Return the differences in host, versions, images and build folders.

    Args:
        base: Files of the first archive.
        head: Files of the second archive.
    """
    return [
        row
        for name in (LOCK, BEFORE)
        if name in base and name in head
        for row in _rows(*_both_recorded(_parsed(base[name]), _parsed(head[name])))
    ]


def surroundings_now(files: Mapping[str, bytes]) -> list[SideBySide]:
    """Return the differences between this host with its software and those of an archive, before a run."""
    pairs = ((SOFTWARE, "software", lock.software()), (BEFORE, "", host.facts()))
    return [
        row
        for name, key, now in pairs
        if name in files
        for row in _rows(_under(key, _parsed(files[name])), _under(key, _parsed(json_file(now))))
    ]


def _both_recorded(base: object, head: object) -> tuple[object, object]:
    """Return both sides without the software if one of them did not record it."""
    if all(isinstance(side, dict) and side.get("software", True) for side in (base, head)):
        return base, head
    return _without_software(base), _without_software(head)


def _without_software(facts: object) -> object:
    return {k: value for k, value in facts.items() if k != "software"} if isinstance(facts, dict) else facts


def _under(key: str, facts: object) -> object:
    return {key: facts} if key else facts


def _rows(base: object, head: object) -> Iterator[SideBySide]:
    for key, before, after in _changes(base, head):
        yield SideBySide(_name(key), before.strip('"'), after.strip('"'))


def _changes(base: object, head: object) -> Iterator[tuple[str, str, str]]:
    """Yield path and both values of what differs."""
    one, other = dict(_stable(base)), dict(_stable(head))
    for key in dict.fromkeys([*one, *other]):
        before, after = one.get(key, "–"), other.get(key, "–")
        if before != after:
            yield key, before, after


def _name(key: str) -> str:
    return next((key.removeprefix(prefix) for prefix in _HIDDEN_PREFIXES if key.startswith(prefix)), key)


def _lines(name: str, base: bytes, head: bytes) -> Iterator[str]:
    if base == head or name.startswith(_ALWAYS_DIFFER):
        return
    if name in _FACTS:
        for key, before, after in _changes(_parsed(base), _parsed(head)):
            yield f"{name}: {key}: {before} → {after}"
    elif name.startswith(_TEXT):
        one, other = (content.decode("utf-8", "replace").splitlines() for content in (base, head))
        yield from unified_diff(one, other, f"a/{name}", f"b/{name}", n=1, lineterm="")


def _parsed(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return content.decode("utf-8", "replace")


def _stable(facts: object) -> Iterator[tuple[str, str]]:
    """Yield path and value of all facts except those that change all the time."""
    for key, value in _flat(facts, ""):
        if not key.startswith(_MOMENTARY) and key not in _DUPLICATES:
            yield key, value


def _flat(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, json.dumps(value, ensure_ascii=False)
