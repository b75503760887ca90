"""Environment variables that are passed on by name: their values reach the app, and nothing that is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runner.core.errors import EnvironmentLacks

LEAST_HIDDEN = 4
"""Shorter values stay as they are in logs: hiding every 1 would hide what the log says."""


def passed_on(names: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of these names.

    Args:
        names: ``topology.app.env_from``.
        environ: The runner's own environment.

    Raises:
        EnvironmentLacks: One is not set.
    """
    if missing := [name for name in names if name not in environ]:
        several = len(missing) > 1
        raise EnvironmentLacks(
            f"{', '.join(missing)} {'are' if several else 'is'} not set in the environment, "
            "and topology.app.env_from passes it on",
            hint=f"run `export {missing[0]}=...` first",
        )
    return {name: environ[name] for name in names}


def hidden(text: str, values: Mapping[str, str]) -> str:
    """A text with each of these values replaced by its name, the longest first."""
    for name, value in sorted(values.items(), key=lambda item: -len(item[1])):
        if len(value) >= LEAST_HIDDEN:
            text = text.replace(value, f"[{name}]")
    return text
