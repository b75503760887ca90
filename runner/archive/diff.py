"""In what two archives differ, besides the numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from difflib import unified_diff
from typing import Any, Final

from runner.archive import host, lock
from runner.archive.provenance import BEFORE, GIT, SOFTWARE

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
_OF_THE_MOMENT: Final = (
    "taken_at",
    "load.",
    "memory_mib.available",
    "memory_mib.swap_free",
    "clock.uptime_s",
    "unreadable.",
    "environment.load_average_1m",
)
"""Facts of a host that differ from one minute to the next."""

_SAID_TWICE: Final = tuple(
    f"environment.{name}"
    for name in (
        "loadproof", "python", "memory_mib", "open_files_soft", "open_files_hard", "clocksource",
        "cpu_governor", "ip_local_port_range", "tcp_tw_reuse", "somaxconn", "tcp_max_syn_backlog",
        "nf_conntrack_max",
    )
)  # fmt: skip
_UNNAMED: Final = ("software.packages.", "software.", "configurations.", "environment.")


def differences(base: Mapping[str, bytes], head: Mapping[str, bytes]) -> list[str]:
    """A line for each difference, specifications and rendered files as unified diffs.

    Args:
        base: Files of one archive.
        head: Files of the other one.
    """
    return [
        *(f"only in the first: {name}" for name in sorted(base) if name not in head),
        *(f"only in the second: {name}" for name in sorted(head) if name not in base),
        *(line for name in sorted(base) if name in head for line in _of(name, base[name], head[name])),
    ]


def surroundings(base: Mapping[str, bytes], head: Mapping[str, bytes]) -> list[dict[str, str]]:
    """In what host, versions, images and build folders differ, for a table.

    Args:
        base: Files of one archive.
        head: Files of the other one.

    Returns:
        ``what``, ``base`` and ``head`` of each difference.
    """
    return [
        row
        for name in (LOCK, BEFORE)
        if name in base and name in head
        for row in _rows(*_both_known([_parsed(side[name]) for side in (base, head)]))
    ]


def surroundings_now(files: Mapping[str, bytes]) -> list[dict[str, str]]:
    """In what this host and the software on it differ from those of an archive, before anything is run."""
    pairs = ((SOFTWARE, "software", lock.software()), (BEFORE, "", host.facts()))
    return [
        row
        for name, key, now in pairs
        if name in files
        for row in _rows(_under(key, _parsed(files[name])), _under(key, json.loads(json.dumps(now))))
    ]


def _both_known(sides: list[Any]) -> list[Any]:
    """Without the software where one side did not keep it."""
    if all(isinstance(side, dict) and side.get("software", True) for side in sides):
        return sides
    return [{key: value for key, value in side.items() if key != "software"} for side in sides]


def _under(key: str, facts: Any) -> Any:
    return {key: facts} if key else facts


def _rows(base: Any, head: Any) -> Iterator[dict[str, str]]:
    sides = [dict(_steady(side)) for side in (base, head)]
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        before, after = (side.get(key, "–") for side in sides)
        if before != after:
            yield {"what": _name(key), "base": before.strip('"'), "head": after.strip('"')}


def _name(key: str) -> str:
    return next((key.removeprefix(start) for start in _UNNAMED if key.startswith(start)), key)


def _of(name: str, base: bytes, head: bytes) -> Iterator[str]:
    if base == head or name.startswith(_ALWAYS_DIFFER):
        return
    if name in _FACTS:
        sides = [dict(_steady(_parsed(content))) for content in (base, head)]
        for key in dict.fromkeys([*sides[0], *sides[1]]):
            before, after = (side.get(key, "–") for side in sides)
            if before != after:
                yield f"{name}: {key}: {before} → {after}"
    elif name.startswith(_TEXT):
        one, other = (content.decode("utf-8", "replace").splitlines() for content in (base, head))
        yield from unified_diff(one, other, f"a/{name}", f"b/{name}", n=1, lineterm="")


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return content.decode("utf-8", "replace")


def _steady(facts: Any) -> Iterator[tuple[str, str]]:
    """All facts, flat, but those that never stay."""
    for key, value in _flat(facts, ""):
        if not key.startswith(_OF_THE_MOMENT) and key not in _SAID_TWICE:
            yield key, value


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, json.dumps(value, ensure_ascii=False)
