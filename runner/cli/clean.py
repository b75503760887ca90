"""`runner clean`: remove what killed runs left behind."""

from __future__ import annotations

import click


@click.command()
@click.option(
    "--all", "everything", is_flag=True, help="Also remove objects of live runs, and Loadproof's images."
)
def clean(everything: bool) -> None:
    """Remove containers and networks of dead runs; only what carries Loadproof's label is removed."""
    import trio

    from runner.stack.docker.cleanup import clean as clean_engine
    from runner.stack.docker.engine import EngineUnavailable

    async def run() -> list[str]:
        return await clean_engine(everything=everything)

    try:
        removed = trio.run(run)
    except EngineUnavailable as error:
        click.echo(f"nothing to remove from Docker: {error.message}", err=True)
        return
    for name in removed:
        click.echo(f"removed {name}")
    if not removed:
        click.echo("there is nothing to remove", err=True)
