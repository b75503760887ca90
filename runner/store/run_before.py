"""Which run of a list comes before another one, and whether the two had the same specification."""

from __future__ import annotations

from collections.abc import Sequence

from runner.store.run_summary import RunSummary


def run_before(runs: Sequence[RunSummary]) -> dict[str, RunSummary]:
    """Return path to the run before, of the same experiment and on a machine of one kind.

    Args:
        runs: Newest first.
    """
    latest: dict[tuple[str, str, str], RunSummary] = {}
    before = {}
    for run in reversed(runs):
        if run.is_measured and run.experiment:
            key = (run.experiment, run.machine, run.unit)
            if (known := latest.get(key)) and known.run_id != run.run_id:
                before[run.path] = known
            latest[key] = run
    return before


def has_other_specification(run: RunSummary, before: RunSummary | None) -> bool:
    """Return whether two runs had different specifications; not where that of one is not known."""
    if before is None or not run.specification or not before.specification:
        return False
    return run.specification != before.specification
