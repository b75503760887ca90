"""Adds to trials of earlier versions what those versions did not write yet."""

from __future__ import annotations

import re
from typing import Final

from msgspec.structs import replace

from runner.core.facts import TrialFacts

_K6_NOTE: Final = re.compile(r"offered by k6 v(\S+)")
"""Loadproof 0.1.0 wrote the version of k6 in a note only."""


def upgraded(trial: TrialFacts) -> TrialFacts:
    """Return a trial of any version with the facts that this version writes."""
    load = trial.load
    if load is None or load.engine != "k6" or load.engine_version:
        return trial
    version = next((match[1] for note in load.notes if (match := _K6_NOTE.search(note))), "")
    return replace(trial, load=replace(load, engine_version=version))
