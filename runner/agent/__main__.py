"""Starts an agent: ``python -P -m runner.agent FILE NODE``, see `runner.cluster.agent`."""

from __future__ import annotations

from runner.agent.kinds import KINDS, MODULES
from runner.agent.observation import load_observer
from runner.cluster.agent import Abilities, main

if __name__ == "__main__":
    main(Abilities(MODULES, KINDS, load_observer))
