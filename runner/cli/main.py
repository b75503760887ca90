"""The `runner` command. The module of a command is imported when the command runs, so that all start fast."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Final

import click

from runner.cli.exit_codes import exit_code_of
from runner.cli.streams import protect_streams

_COMMANDS: Final = {
    "execute": "Run an experiment and write its report.",
    "init": "Write a first specification for your service.",
    "validate": "Check a specification and list all its problems.",
    "try": "Send each request or scenario once, and show what came back.",
    "schema": "Print the JSON Schema of specifications or of results.",
    "report": "Render the report of a stored run.",
    "compare": "Show what is better or worse in one run than in another.",
    "history": "Show how the numbers of an experiment changed from run to run.",
    "runs": "List the runs in a folder.",
    "serve": "Show the runs in a folder in a browser.",
    "verify": "Check that an archive is intact and that its numbers follow from its data.",
    "archive": "List, print, extract and compare archives.",
    "comment": "Post the result of a run on its pull request.",
    "doctor": "Show what this machine has for experiments and what is missing.",
    "clean": "Remove what killed runs left behind.",
}
_MODULES: Final = {"try": "try_out"}
"""Command to module, where the command's name is a word of Python."""


class _Commands(click.Group):
    """Finds a command in the module of its name, `runner.cli.<name>`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module = _MODULES.get(cmd_name, cmd_name)
        command = getattr(import_module(f"runner.cli.{module}"), module)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Print the version and end; `--json` is eager, so it is known here wherever it stands."""
    if not wanted or context.resilient_parsing:
        return
    from runner.cli.output import put
    from runner.cli.version import version_json, version_text

    put(version_json() if context.params.get("as_json") else version_text())
    context.exit()


@click.group(name="runner", cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version, what it was made of and what it runs on, and exit.",
)
@click.option("--json", "as_json", is_flag=True, is_eager=True, help="With --version: print it as JSON.")
def app(as_json: bool) -> None:
    """Loadproof runs load experiments on HTTP services.

    A YAML file describes the system to build, the load to offer and what to measure. The report says what
    happened, where the bottleneck is, and how we know.

    Exit codes: 0 done, 1 internal error, 2 usage error, 3 the environment lacks something, 4 a stage is
    invalid or cannot be judged, 99 a threshold failed or a comparison found a regression, 104 the
    specification or an archive is invalid, 130 and 143 ended by SIGINT or SIGTERM.
    """
    if as_json:
        raise click.UsageError(
            "--json before a command belongs to --version; commands have a --json of their own."
        )


def main() -> None:
    """Run the command line of this process, and end it."""
    protect_streams()
    code = exit_code_of(app)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # to free all objects takes longer than most commands
