"""The word for the question of what happens on a node; agents know it before they can answer."""

from __future__ import annotations

from typing import Final

OBSERVE: Final = "observe"
"""Kind of the question that carries a `runner.observe.node.messages.ObserveOrder`."""
