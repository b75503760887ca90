"""What the runner orders an agent to observe. The agent answers with samples, and then with facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct, field

from runner.core.facts import Window
from runner.core.observed_facts import ObservedFacts, PlacedPart, Sample
from runner.core.units import Seconds

STOP: Final = b'"stop"'
"""What the runner tells an agent whose observation is to end now."""
AGENT: Final = "agent"
"""Name of the subject that an agent is itself."""
DAEMONS: Final = ("dockerd", "containerd")
SHIM: Final = "containerd-shim"
"""Names of subjects that are parts of the engine; further ones of a name have a number: ``dockerd-2``."""
FORWARDER: Final = "docker-proxy"
"""Name of the subject that copies connections from a published port to a container of the run."""
HUB: Final = "hub"
"""Name of the subject that is the hub, on the node where it runs."""
MAX_PARTS: Final = 1_000
MAX_WORKERS: Final = 1_000
MIN_INTERVAL_S: Final[Seconds] = 0.05


class ObserveOrder(Struct, frozen=True, omit_defaults=True):
    """What to observe on one node.

    Attributes:
        window: The trial's parts on the node's CLOCK_MONOTONIC.
        interval_s: Seconds between samples.
        run_id: Of the run, which tells its hub from those of others.
        placed: The parts of the system that run on this node.
        workers: Subject's name to the process id that the agent knows of a worker that it started.
    """

    window: Window
    interval_s: Annotated[Seconds, Meta(ge=MIN_INTERVAL_S, le=3_600)]
    run_id: Annotated[str, Meta(min_length=1, max_length=128)]
    placed: Annotated[tuple[PlacedPart, ...], Meta(max_length=MAX_PARTS)] = ()
    workers: Annotated[Mapping[str, int], Meta(max_length=MAX_WORKERS)] = field(default_factory=dict)


encode: Final = msgspec.json.Encoder().encode
decode_order: Final = msgspec.json.Decoder(ObserveOrder).decode
decode_sample: Final = msgspec.json.Decoder(Sample).decode
decode_facts: Final = msgspec.json.Decoder(ObservedFacts).decode
