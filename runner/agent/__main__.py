"""Starts an agent: ``python -P -m runner.agent FILE NODE``, see `runner.cluster.agent`."""

from __future__ import annotations

from runner.agent.kinds import KINDS, MODULES
from runner.cluster.agent import main

if __name__ == "__main__":
    main(MODULES, KINDS)
