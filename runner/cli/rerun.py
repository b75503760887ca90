"""`runner execute ZIP`: repeats the run in an archive and compares the results."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runner.cli import exit_codes
from runner.cli.jobs import Selection
from runner.cli.output import say
from runner.core.codes import ReproductionVerdict, Role
from runner.core.errors import OutputError, UsageError
from runner.execution.job import Job, Outcome
from runner.experiment.suggestions import harmless

if TYPE_CHECKING:
    from runner.archive.rerun import Rerun
    from runner.core.comparison import SideBySide
    from runner.experiment.model import Configuration

_MAX_DIFFERENCES: Final = 40
_WIDTH: Final = 60
_CODES: Final = {
    ReproductionVerdict.REPRODUCED: exit_codes.DONE,
    ReproductionVerdict.NOT_REPRODUCED: exit_codes.THRESHOLD_FAILED,
    ReproductionVerdict.UNKNOWN: exit_codes.INVALID_STAGE,
}


def open_rerun(path: Path, base_dir: Path | None, selection: Selection) -> Rerun:
    """Return an archive of which every byte and every number was checked.

    Raises:
        UsageError: The command line changes something in it, or the base folder does not exist.
        StoredRunError: It cannot be read.
        ArchiveDamaged: It is damaged or forged.
    """
    if selection:
        raise UsageError(
            f"{path} is run unchanged; --set, --configuration, --stage, --cross-check and --prove "
            "cannot be combined with an archive",
            hint=f"extract the specification with `runner archive extract {path} FOLDER` and run that",
        )
    if base_dir is not None and not base_dir.is_dir():
        raise UsageError(
            f"--base-dir {base_dir} is not a folder", hint="give the folder of the specification"
        )
    from runner.archive.rerun import read_rerun

    return read_rerun(path, base_dir)


def show_rerun(rerun: Rerun, job: Job, *, quiet: bool) -> None:
    """Print on stderr what is going to be started and, unless `quiet`, what has changed since then.

    Raises:
        EnvironmentLacks: A build folder does not exist, or a file outside the folder is not the recorded one.
    """
    from runner.archive.rerun import check_files_outside, differs_now
    from runner.execution.hooks import hook_requests
    from runner.execution.inputs import files_outside, topology_files_outside
    from runner.store.request_files import resolved

    if not quiet:
        say(f"{rerun.archive.path} is intact: run {rerun.results.run.id}, SHA-256 {rerun.archive.sha256}")
    for line in _starts(job):
        say(harmless(line))
    outside = files_outside(
        (trial.configuration.load for trial in job.trials), job.base_dir, hook_requests(job.trials)
    )
    for path in outside:
        say(f"requests send the file {resolved(path, job.base_dir)}, outside the folder {job.base_dir}")
    described = topology_files_outside((trial.configuration.topology for trial in job.trials), job.base_dir)
    check_files_outside(rerun, (*outside, *described))
    if not quiet:
        _show_differences(differs_now(rerun, job.commands_in or Path.cwd()))


def _starts(job: Job) -> Iterator[str]:
    """Yield what an archive starts on this machine, complete: it may come from a stranger."""
    from runner.stack.docker.context import find_folder

    configurations = {trial.configuration.name: trial.configuration for trial in job.trials}
    for name, configuration in configurations.items():
        topology, load = configuration.topology, configuration.load
        for line in topology.describe_start(str(job.commands_in or Path.cwd())):
            yield f"{name}: {line}"
        for part, folder in topology.build_folders.items():
            key = part if part == Role.APP else f"services.{part}"
            yield f"{name}: runs the Dockerfile in {find_folder(folder, job.base_dir, key)}"
        for variable in load.variables.values():
            if variable.command:
                yield f"{name}: starts `{shlex.join(variable.command)}` in the folder {job.base_dir}"
                yield "  with all variables of your environment"
        if load.engine == "k6" or load.cross_check:
            yield f"{name}: starts k6 with a generated script"
        yield from hook_lines(configuration, job)


def hook_lines(configuration: Configuration, job: Job) -> Iterator[str]:
    """Yield what the hooks of a configuration start and send, complete."""
    if not configuration.hooks:  # without commands, no current folder is needed
        return
    from runner.experiment.hooks import describe

    target = configuration.topology.external_url or "the app"
    for line in describe(configuration.hooks, str(job.commands_in or Path.cwd()), target):
        yield f"{configuration.name}: {line}"


def _show_differences(differences: Sequence[SideBySide]) -> None:
    say("changed since then:" if differences else "this host and its software have not changed")
    for difference in differences[:_MAX_DIFFERENCES]:
        say(f"  {difference.what}: {_shorten(difference.base)} → {_shorten(difference.head)}")
    if len(differences) > _MAX_DIFFERENCES:
        say(f"  and {len(differences) - _MAX_DIFFERENCES} more, listed in reproduction.md at the end")


def conclude_rerun(rerun: Rerun, outcome: Outcome, *, quiet: bool) -> int:
    """Write the comparison with the archive, and return the exit code that tells whether it is reproduced."""
    from runner.archive.rerun import REPRODUCTION, conclude
    from runner.report.reproduction import reproduced

    try:
        reproduction = conclude(rerun, outcome.results, outcome.folder, outcome.archive)
    except OutputError as error:
        exit_codes.show_error(error)
        return exit_codes.code_for(error)
    if not quiet:
        say(reproduced(reproduction))
        say(f"Comparison with the archive: {outcome.folder / REPRODUCTION}.md")
    return _CODES[reproduction.verdict]


def _shorten(text: str) -> str:
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
