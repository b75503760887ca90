"""What people read of a trial while it runs (pure)."""

from __future__ import annotations

from runner.experiment.counter_experiments import change_named
from runner.experiment.proof_blocks import BLOCKS
from runner.experiment.trials import Trial


def trial_title(trial: Trial) -> str:
    """Return its configuration, its stage, and what tells it from other trials of the stage.

    A block of a counter-experiment says what it offers where that is not what its stage is called after.
    """
    stage, detail = trial.stage, trial_detail(trial)
    is_block = trial.counter_experiment_for is not None
    offered = f"{stage.level} offered" if is_block and stage.level != stage.name else ""
    return f"{trial.configuration.name} · {', '.join(filter(None, (stage.name, detail, offered)))}"


def trial_detail(trial: Trial) -> str:
    """Return what tells it from other trials of its stage; empty for the only one."""
    repeat = f"repeat {trial.repeat}" if trial.repeat > 1 else ""
    engine = f"cross-check with {trial.configuration.load.engine}" if trial.cross_check else ""
    proof = f"counter-experiment{_block(trial)}" if trial.counter_experiment_for is not None else ""
    return ", ".join(filter(None, (repeat, engine, proof)))


def change_words(trial: Trial) -> str:
    """Return what the counter-experiment of a trial changes: ``doubling the CPU limit``; empty for others."""
    change = change_named(trial.change)
    return change.words if change else trial.change


def _block(trial: Trial) -> str:
    """Return which block of a counter-experiment a trial is, and what was changed in it."""
    if trial.block is None:
        return ""
    what = change_words(trial) if trial.is_changed else "as specified"
    return f" {trial.block + 1} of {BLOCKS} ({what})"
