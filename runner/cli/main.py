"""The `runner` command. Commands are imported when they are called, so that --help is quick."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from typing import Final

import click

from runner.cli.exit_codes import exit_code_of

_COMMANDS: Final = {
    "execute": "Run an experiment and write its report.",
    "init": "Write a first specification for a service of yours.",
    "validate": "Check a specification and list every problem in it.",
    "schema": "Print the JSON Schema of specifications.",
    "report": "Render the report of a run again, from what was stored.",
    "compare": "Say what is better or worse in one run than in another.",
    "history": "Show how the numbers of an experiment changed from run to run.",
    "verify": "Check that an archive is whole and its numbers follow from its data.",
    "archive": "Look into archives, take files out, compare two of them.",
    "comment": "Put a run's result on its pull request.",
    "doctor": "Say what this machine has and lacks.",
    "clean": "Remove what runs that were killed have left behind.",
}


class _Commands(click.Group):
    """Finds a command in the module of its name, `runner.cli.<name>`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(import_module(f"runner.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="loadproof", prog_name="runner (Loadproof)")
def app() -> None:
    """Loadproof runs experiments on HTTP services.

    A YAML file says what to build, what load to offer and what to measure; the report says
    what happened, where the bottleneck is, and how we know.

    Exit codes: 0 done, 1 a bug of ours, 2 usage, 3 the environment lacks something, 4 a stage is invalid,
    99 a threshold failed or a comparison found a regression, 104 the specification is wrong or an archive
    is damaged, 130 and 143 ended by SIGINT or SIGTERM.
    """


def main() -> None:
    """Entry point of the console script."""
    code = exit_code_of(app)
    gc.freeze()  # looking for cycles among what is thrown away anyway takes a third of a second
    sys.exit(code)
