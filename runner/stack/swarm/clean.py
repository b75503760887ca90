"""Removes what earlier runs left in a swarm: the part of `runner clean` for managers."""

from __future__ import annotations

from runner.stack.docker.engine import EngineUnavailable, connect
from runner.stack.swarm.removal import sweep_swarm
from runner.stack.swarm.responses import EngineInfo


async def clean_swarm(*, everything: bool) -> list[str]:
    """Remove what dead runs left in the swarm whose manager DOCKER_HOST names; nothing elsewhere.

    What the runs of other machines have is removed only after it has expired.

    Args:
        everything: Also remove what live runs have, those of other machines included.

    Returns:
        What was removed, such as ``service lp-…-agent-1``.

    Raises:
        StackFailed: The manager does not remove something.
    """
    try:
        engine = await connect(elsewhere=True)
    except EngineUnavailable:
        return []  # the next step of `runner clean` says so
    try:
        info = await engine.read(EngineInfo, engine.api.info)
        return await sweep_swarm(engine, everything=everything) if info.swarm.control_available else []
    finally:
        engine.close()
