"""The files that the commands of hooks name: what they contain belongs to what was run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from runner.core.errors import EnvironmentLacks
from runner.core.template import has_opening
from runner.experiment.hooks import Hooks, placed
from runner.experiment.trials import Trial
from runner.store.request_files import is_outside, place_problem, read_files


def read_scripts(trials: Iterable[Trial], folder: Path) -> dict[str, bytes]:
    """Return path in the specification to content of the scripts of hooks on this host. Blocks.

    Args:
        trials: Of the run.
        folder: Where commands start.
    """
    hooks = {trial.configuration.name: trial.configuration.hooks for trial in trials}
    words = dict.fromkeys(word for one in hooks.values() for word in _words(one))
    scripts: dict[str, bytes] = {}
    for word in words:
        if not is_outside(word, folder) and not place_problem(word, folder):
            try:
                scripts |= read_files([word], folder)
            except EnvironmentLacks:
                continue  # too large, or not readable: the hook itself says so
    return scripts


def _words(hooks: Hooks | None) -> Iterator[str]:
    """Yield the words that can be relative paths; a name without slash and dot is looked up on PATH."""
    for _, _, hook in placed(hooks):
        for word in hook.run or () if hook.part is None else ():
            if ("/" in word or "." in word) and not Path(word).is_absolute() and not has_opening(word):
                yield word
