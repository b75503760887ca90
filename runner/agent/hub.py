"""Starts the hub of a run, and the agent of its node beside it: ``python -P -m runner.agent.hub RUN``.

See `runner.cluster.hub` and `runner.cluster.own_agent`.
"""

from __future__ import annotations

import gc

gc.disable()  # as in `runner.agent.__main__`

from functools import partial

from runner.agent.kinds import KINDS, MODULES
from runner.agent.observation import load_observer
from runner.cluster import hub
from runner.cluster.agent import Abilities, live_beside_hub
from runner.cluster.own_agent import fork_agent

gc.freeze()
gc.enable()

if __name__ == "__main__":
    hub.main(fork_agent(partial(live_beside_hub, Abilities(MODULES, KINDS, load_observer))))
