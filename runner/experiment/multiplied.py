"""Multiplies a number in an option or a variable of a command: its workers, its pool, its backlog."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

BACKLOG: Final = re.compile(r"--?backlog", re.IGNORECASE)
WORKERS: Final = re.compile(r"--?(?:workers|threads|concurrency|slots)", re.IGNORECASE)
PROCESSES: Final = re.compile(r"--?workers", re.IGNORECASE)
"""It is multiplied rather than a number of threads: those of one process may share a processor."""
PROCESSES_OR_W: Final = re.compile(r"--?workers|-w", re.IGNORECASE)
SERVERS_WITH_W: Final = frozenset({"gunicorn", "hypercorn", "puma"})
"""Servers whose option ``-w`` is the number of their workers."""
POOL: Final = re.compile(
    r"--?[\w-]*?(?:(?<!thread)(?<!thread[-_])pool(?:[-_]?(?:max|limit))?(?:[-_]?(?:size|connections|conns?))?"
    r"|max[-_]?(?:open[-_]?)?(?:connections|conns?))",
    re.IGNORECASE,
)
"""Unlike the others, it spans several words of a name: ``DB_POOL_MAX_SIZE``."""


def multiplied_option(command: Sequence[str], pattern: re.Pattern[str], factor: int) -> Sequence[str] | None:
    """Return the command with ``--backlog 16`` or ``--backlog=16`` multiplied, None without the option."""
    for at, argument in enumerate(command):
        option, equals, value = argument.partition("=")
        if not pattern.fullmatch(option):
            continue
        if equals and value.isdecimal():
            return (*command[:at], f"{option}={int(value) * factor}", *command[at + 1 :])
        if not equals and at + 1 < len(command) and command[at + 1].isdecimal():
            return (*command[: at + 1], str(int(command[at + 1]) * factor), *command[at + 2 :])
    return None


def multiplied_variable(
    env: Mapping[str, str], pattern: re.Pattern[str], factor: int
) -> dict[str, str] | None:
    """Return the variables with ``APP_BACKLOG=16`` multiplied, None without the variable."""
    for name, value in env.items():
        if value.isdecimal() and any(pattern.fullmatch(f"--{word}") for word in _parts(name, pattern)):
            return {**env, name: str(int(value) * factor)}
    return None


def _parts(name: str, pattern: re.Pattern[str]) -> list[str]:
    return [name] if pattern is POOL else name.split("_")
