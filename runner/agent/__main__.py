"""Starts an agent: ``python -P -m runner.agent FILE NODE``, see `runner.cluster.agent`."""

from __future__ import annotations

import gc

gc.disable()  # nothing is garbage yet, and to look for it takes a tenth of the time of the imports

from runner.agent.kinds import KINDS, MODULES
from runner.agent.observation import load_observer
from runner.cluster.agent import Abilities, main

gc.freeze()
gc.enable()

if __name__ == "__main__":
    main(Abilities(MODULES, KINDS, load_observer))
