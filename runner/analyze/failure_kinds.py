"""How requests failed in a few words: the kind that most have, and others that it must not hide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

_BAD_STATUS: Final = "bad_status"
_STATUS: Final = "status "
_SERVER_ERROR: Final = f"{_STATUS}5"
_MOST_SERVER_ERRORS: Final = 2


def failure_kinds(failures: Mapping[str, int], statuses: Mapping[str, int]) -> dict[str, int]:
    """Return each kind of failure with its count, the most frequent first; each known status is a kind."""
    kinds = {kind: count for kind, count in failures.items() if count}
    known = {f"{_STATUS}{code}": count for code, count in statuses.items() if code.isdecimal() and count}
    if known and _BAD_STATUS in kinds:
        del kinds[_BAD_STATUS]
        kinds |= known
    return dict(sorted(kinds.items(), key=lambda kind: -kind[1]))


def also_named(kinds: Mapping[str, int], main: str = "") -> list[str]:
    """Return the kinds that deserve to be named beside the main one: ``41 with status 500``.

    Server errors, which a wrong expectation about another status would hide, and the first failure that is
    none of a status beside one that is, or the other way round.
    """
    others = [kind for kind in kinds if kind != main]
    named = [kind for kind in others if kind.startswith(_SERVER_ERROR)][:_MOST_SERVER_ERRORS]
    if not named and main:
        named = _other_sort(others, main)
    return [f"{kinds[kind]:,} with {kind}" for kind in named]


def _other_sort(others: Sequence[str], main: str) -> list[str]:
    is_status = main.startswith(_STATUS)
    return [kind for kind in others if kind.startswith(_STATUS) is not is_status][:1]
