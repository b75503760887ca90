"""Environment variables given by name only: the app gets their values, and no stored file contains them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runner.core.errors import EnvironmentLacks


def inherited_variables(
    names: Iterable[str], environ: Mapping[str, str], part: str = "app"
) -> dict[str, str]:
    """Return the variables with these names.

    Args:
        names: ``env_from`` of a part of the stack.
        environ: The runner's own environment.
        part: The part's place below ``topology``, such as ``services.db``.

    Raises:
        EnvironmentLacks: One is not set.
    """
    if missing := [name for name in names if name not in environ]:
        raise EnvironmentLacks(
            f"topology.{part}.env_from: {', '.join(missing)} {'are' if len(missing) > 1 else 'is'} "
            "not set in the environment",
            hint=f"run `export {missing[0]}=...` first",
        )
    return {name: environ[name] for name in names}
