"""`runner serve`: a folder of runs in the browser."""

from __future__ import annotations

from pathlib import Path

import click

from runner.cli.output import answer, say

_MAX_PORT = 65_535


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default="reports")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, _MAX_PORT),
    default=8642,
    show_default=True,
    help="The port to listen on; 0 takes any free one.",
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A name that a browser reaches this server by, such as that of a proxy. May be repeated.",
)
def serve(folder: Path, host: str, port: int, hosts: tuple[str, ...]) -> None:
    r"""Show the runs in FOLDER in a browser: a list, reports, comparisons, and histories. Default: reports.

    The address is printed on stdout. Nothing is changed in FOLDER, and no page loads anything from elsewhere.
    Ctrl-C ends it.

    \b
    Example:
      runner serve reports --port 0
    """
    from runner.cli.exit_codes import die_of
    from runner.serve.server import serve as serve_runs

    def started(address: str, is_local: bool) -> None:
        if not is_local:
            text = f"everyone who reaches {host} can read these runs, without a password"
            say(text, label="warning:", colour="yellow")
        answer(address)

    die_of(serve_runs(folder, host=host, port=port, hosts=hosts, on_start=started))
