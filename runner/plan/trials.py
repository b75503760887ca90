"""Configurations × stages × repeats in the order they are run (pure)."""

from __future__ import annotations

from dataclasses import dataclass

from runner.spec.model import Configuration, Stage


@dataclass(frozen=True, slots=True)
class Trial:
    """One stage of one configuration, to be run once.

    Attributes:
        configuration: Complete in itself.
        stage: One of the configuration's stages.
        repeat: Counts from 1.
        order: Place in the run, from 0.
    """

    configuration: Configuration
    stage: Stage
    repeat: int
    order: int
