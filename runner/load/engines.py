"""The engines by their names in the specification."""

from __future__ import annotations

from typing import Final

from runner.load import builtin
from runner.load.engine import Engine
from runner.load.k6.engine import k6

ENGINES: Final[dict[str, Engine]] = {"builtin": builtin.offer, "k6": k6}
