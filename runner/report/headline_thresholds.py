"""Words for the number of thresholds that a stage failed; which ones stands where all thresholds do."""

from __future__ import annotations

from runner.core.stage_results import Stage
from runner.report.metric_text import levels
from runner.report.stage_choice import failed_thresholds


def failed_thresholds_phrase(stage: Stage) -> str:
    """Return how many thresholds a stage did not pass; empty without, or if the system died."""
    failed, of = failed_thresholds(stage), len(stage.thresholds)
    if not failed:
        return ""
    return f"{failed} of {of} thresholds failed" if of > 1 else "the threshold failed"


def failed_there(stage: Stage) -> str:
    """Return the same in a sentence of its own, for the rate that a search found."""
    phrase = failed_thresholds_phrase(stage)
    return f"At {levels(stage)}, {phrase}." if phrase else ""
