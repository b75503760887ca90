"""What a headline says of thresholds that failed at the rate that it calls sustained."""

from __future__ import annotations

from msgspec import UNSET

from runner.core.stage_results import Stage
from runner.report.metric_text import levels


def failed_there(stage: Stage) -> str:
    """Return in a sentence how many thresholds a stage did not pass; empty without, or if the system died.

    Which ones stands where all thresholds do.
    """
    failed = sum(not check.ok and check.why is UNSET for check in stage.thresholds)
    if not failed:
        return ""
    of = len(stage.thresholds)
    which = f"{failed} of {of} thresholds" if of > 1 else "the threshold"
    return f"At {levels(stage)}, {which} failed."
