"""The functions of `runner.core.draws`, compiled where there was a C compiler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.core import draws
from runner.load.extensions import compiled

if not TYPE_CHECKING:
    draws = compiled("fastdraws") or draws

below, draw, text, uuid = draws.below, draws.draw, draws.text, draws.uuid
