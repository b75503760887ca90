"""`runner clean`: remove what runs that were killed have left behind."""

from __future__ import annotations

import click


@click.command()
@click.option(
    "--all", "everything", is_flag=True, help="Also objects of runs that are alive, and our images."
)
def clean(everything: bool) -> None:
    """Remove containers and networks of dead runs; nothing without our label is touched."""
    import trio

    from runner.stack.docker.cleanup import clean as clean_engine
    from runner.stack.docker.engine import EngineGone

    async def run() -> list[str]:
        return await clean_engine(everything=everything)

    try:
        removed = trio.run(run)
    except EngineGone as error:
        click.echo(f"nothing to clean in Docker: {error.message}", err=True)
        return
    for name in removed:
        click.echo(f"removed {name}")
    if not removed:
        click.echo("nothing was left behind", err=True)
