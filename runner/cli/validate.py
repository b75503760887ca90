"""`runner validate`: check a specification."""

from __future__ import annotations

from pathlib import Path

import click

from runner.cli.output import answer


@click.command()
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Change a value first.")
def validate(spec: Path, overrides: tuple[str, ...]) -> None:
    """Check SPEC and list all its problems (exit code 104)."""
    from runner.cli.specfile import read_spec_file

    experiment = read_spec_file(spec, overrides).experiment
    stages = sum(len(configuration.stages) for configuration in experiment.configurations)
    configurations = len(experiment.configurations)
    names = {one.name for configuration in experiment.configurations for one in configuration.load.scenarios}
    scenarios = f", {len(names)} scenario{'s'[: len(names) != 1]}" if names else ""
    repeats = f", {experiment.repeats} repeats" if experiment.repeats > 1 else ""
    answer(
        f"{spec}: valid ({configurations} configuration{'s'[: configurations != 1]}, "
        f"{stages} stage{'s'[: stages != 1]}{repeats}{scenarios})"
    )
    if names:
        from runner.cli.output import say
        from runner.experiment.scenario_stages import warnings
        from runner.experiment.suggestions import harmless

        for sentence in warnings(experiment):
            say(harmless(sentence), label="warning:", colour="yellow")
