"""Charts of a run: each is one definition, drawn as SVG beside report.md and interactively in report.html."""

from typing import Final

WHY: Final = "why"
"""Name of the one picture that shows why."""
