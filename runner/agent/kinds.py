"""What agents can do for the runner: the modules that they start, and the questions that they answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from runner.agent.kernel import KERNEL, describe_kernel
from runner.agent.observation import observe
from runner.agent.requests import request
from runner.cluster import agent_answers
from runner.cluster.agent_asks import Answer
from runner.observe.node.kind import OBSERVE

MODULES: Final = frozenset(
    {"runner.load.worker", "runner.load.responder", "runner.load.try_worker", "runner.load.file_keeper"}
)
"""Programs of the generator; see `runner.cluster.client.Cluster.open_workers`."""

KINDS: Final[Mapping[str, Answer]] = {
    KERNEL: describe_kernel,
    OBSERVE: observe,
    "probe": agent_answers.probe,
    "request": request,
}
"""Kind of a question to the function that answers; see `runner.cluster.client.Cluster.ask`."""
