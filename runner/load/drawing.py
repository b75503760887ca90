"""The functions of `runner.core.draws`, compiled where there was a C compiler."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING or os.environ.get("LOADPROOF_NO_EXTENSIONS"):
    from runner.core.draws import below, draw, text, uuid
else:
    try:
        from runner.load.fastdraws import below, draw, text, uuid
    except ImportError:  # it need not have been built
        from runner.core.draws import below, draw, text, uuid

__all__ = ["below", "draw", "text", "uuid"]
