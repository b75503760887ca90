"""What people read of a trial while it runs (pure)."""

from __future__ import annotations

from runner.experiment.proof_blocks import BLOCKS
from runner.experiment.trials import Trial


def trial_title(trial: Trial) -> str:
    """Return its configuration, its stage, and what tells it from other trials of the stage."""
    detail = trial_detail(trial)
    return f"{trial.configuration.name} · {trial.stage.name}{f', {detail}' if detail else ''}"


def trial_detail(trial: Trial) -> str:
    """Return what tells it from other trials of its stage; empty for the only one."""
    repeat = f"repeat {trial.repeat}" if trial.repeat > 1 else ""
    engine = f"cross-check with {trial.configuration.load.engine}" if trial.cross_check else ""
    proof = f"counter-experiment{_block(trial)}" if trial.counter_experiment_for is not None else ""
    return ", ".join(filter(None, (repeat, engine, proof)))


def _block(trial: Trial) -> str:
    """Return which block of a counter-experiment a trial is, and whether it has the change."""
    if trial.block is None:
        return ""
    return f" {trial.block + 1} of {BLOCKS} ({'with' if trial.is_changed else 'without'} {trial.change})"
