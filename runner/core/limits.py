"""From where on a stage counts as sustained: the one rule of verdicts, charts and sentences."""

from __future__ import annotations

from typing import Final

ACHIEVED: Final = 0.99
"""Share of the due requests that a service sustains if it keeps up."""
TOLERATED_ERRORS: Final = 0.01
"""Share of the requests, of all and of each request of a mix, of which fewer may fail or be dropped."""
