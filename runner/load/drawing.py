"""The functions of `runner.core.draws`, compiled where there was a C compiler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.core import draws
from runner.load.extensions import allowed, is_current

if not TYPE_CHECKING and allowed():
    try:
        from runner.load import fastdraws
    except ImportError:  # it need not have been built
        pass
    else:
        draws = fastdraws if is_current(fastdraws) else draws

below, draw, text, uuid = draws.below, draws.draw, draws.text, draws.uuid
