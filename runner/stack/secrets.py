"""Environment variables given by name only: the app gets their values, and no stored file contains them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from runner.core.errors import EnvironmentLacks

MIN_MASKED_LENGTH: Final = 4
"""Shorter values are not masked: replacing every 1 in a log would make it unreadable."""


def inherited_variables(names: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with these names.

    Args:
        names: ``topology.app.env_from``.
        environ: The runner's own environment.

    Raises:
        EnvironmentLacks: One is not set.
    """
    if missing := [name for name in names if name not in environ]:
        raise EnvironmentLacks(
            f"topology.app.env_from: {', '.join(missing)} {'are' if len(missing) > 1 else 'is'} "
            "not set in the environment",
            hint=f"run `export {missing[0]}=...` first",
        )
    return {name: environ[name] for name in names}


def mask_secrets(text: str, values: Mapping[str, str]) -> str:
    """Return the text with each of these values replaced by its name in brackets, the longest value first."""
    for name, value in sorted(values.items(), key=lambda item: -len(item[1])):
        if len(value) >= MIN_MASKED_LENGTH:
            text = text.replace(value, f"[{name}]")
    return text
