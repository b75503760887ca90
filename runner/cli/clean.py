"""`runner clean`: remove what killed runs left behind."""

from __future__ import annotations

import click

from runner.cli.output import answer, say


@click.command()
@click.option(
    "--all", "everything", is_flag=True, help="Also remove objects of live runs, and Loadproof's images."
)
def clean(everything: bool) -> None:
    """End processes and remove containers, networks and services of dead runs; nothing else is touched."""
    from runner.core.errors import LoadproofError, StackFailed
    from runner.stack.docker.engine import EngineUnavailable
    from runner.stack.leftovers import end_leftovers, unrecorded

    failures: list[LoadproofError] = []
    done = 0
    for step in (end_leftovers, _empty_swarm, _empty_engine):
        try:
            for line in step(everything=everything):
                answer(line)
                done += 1
        except EngineUnavailable as error:
            say(f"nothing to remove from Docker: {error.message}")
        except StackFailed as error:
            failures.append(error)
    strangers = unrecorded()
    for line in strangers:
        say(line)
    if failures:
        raise failures[0]
    if not done and not strangers:
        say("there is nothing to remove")


def _empty_swarm(*, everything: bool) -> list[str]:
    import trio

    from runner.stack.swarm.clean import clean_swarm

    async def run() -> list[str]:
        return await clean_swarm(everything=everything)

    return [f"removed {name} of the swarm" for name in trio.run(run)]


def _empty_engine(*, everything: bool) -> list[str]:
    import trio

    from runner.stack.docker.cleanup import clean as clean_engine

    async def run() -> list[str]:
        return await clean_engine(everything=everything)

    return [f"removed {name}" for name in trio.run(run)]
