"""Files for programs on nodes, as configs and secrets of the swarm."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from runner.cluster.placement import PlacedFile
from runner.core.errors import StackFailed
from runner.experiment.swarm_parts import MAX_CONFIG, MAX_SECRET
from runner.stack.docker.engine import Engine, run_concurrently
from runner.stack.swarm.naming import PLAN, object_labels, object_name
from runner.stack.swarm.responses import CreatedObject


def check_files(files: Sequence[PlacedFile]) -> None:
    """Raise StackFailed if the swarm cannot keep a file."""
    for file in files:
        most, kind = (MAX_SECRET, "secret") if file.secret else (MAX_CONFIG, "config")
        if not file.content:
            raise StackFailed(f"{file.path} is empty: a {kind} of a swarm has at least one byte")
        if len(file.content) > most:
            raise StackFailed(
                f"{file.path} has {len(file.content):,} bytes: a {kind} of a swarm has at most {most:,}",
                hint="put the file into the image",
            )


async def create_files(
    engine: Engine, run_id: str, plan_name: str, files: Sequence[PlacedFile]
) -> list[tuple[PlacedFile, str, str]]:
    """Create a config or a secret for each file, and return it with the id and the name of that.

    Raises:
        StackFailed: The swarm refuses one.
    """
    created: dict[int, tuple[PlacedFile, str, str]] = {}

    async def create(index: int, file: PlacedFile) -> None:
        name = object_name(run_id, f"{plan_name}-{index}")
        function = engine.api.create_secret if file.secret else engine.api.create_config
        labels = {**object_labels(run_id, plan_name), PLAN: plan_name}
        response = await engine.read(CreatedObject, function, name, file.content, labels=labels)
        created[index] = (file, response.id, name)

    await run_concurrently(partial(create, index, file) for index, file in enumerate(files))
    return [created[index] for index in sorted(created)]
