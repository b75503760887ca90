"""How `runner execute` shows the outcome of a run, and the exit code that follows from it."""

from __future__ import annotations

import shlex
from pathlib import Path

from runner.analyze.medians import of_medians
from runner.cli import exit_codes
from runner.cli.output import answer_path, put, say
from runner.core.codes import StageStatus, Validity
from runner.core.errors import EnvironmentLacks
from runner.core.stage_results import Stage
from runner.execution.job import Outcome
from runner.store.results_file import encode_results
from runner.store.run_folder import RESULTS


def show_outcome(outcome: Outcome, *, as_json: bool, quiet: bool) -> None:
    """Print the result on stdout, and everything for people on stderr."""
    from runner.store.run_names import CHARTS, MARKDOWN, PAGE

    report, page = outcome.folder / MARKDOWN, outcome.folder / PAGE
    if not quiet:
        from runner.cli.summary import show_summary

        show_summary(outcome.results)
        if page.exists():
            kind = "with charts" if (outcome.folder / CHARTS).is_dir() else "without charts"
            say(f"Report {kind}, for a browser: {page}")
        if outcome.archive:
            say(f"All files as one archive: {outcome.archive}")
    if outcome.error:
        exit_codes.show_error(outcome.error)
        if _can_go_on(outcome):
            folder = shlex.quote(str(outcome.folder))
            say(f"`runner execute --resume {folder}` then runs what is missing", label="hint:", colour="cyan")
    if as_json:
        put(encode_results(outcome.results))
    else:
        _show_path(report, outcome.folder / RESULTS)


def _can_go_on(outcome: Outcome) -> bool:
    """Return whether a run that an error of its surroundings ended has measured something to keep."""
    stages = (stage for each in outcome.results.configurations for stage in each.stages)
    measured = any(stage.status is not StageStatus.NOT_RUN for stage in stages)
    return measured and isinstance(outcome.error, EnvironmentLacks)


def _show_path(*files: Path) -> None:
    """Print the first file that exists; there is none if no disk has space."""
    existing = [file for file in files if file.exists()]
    if existing:
        answer_path(existing[0])


def exit_code(outcome: Outcome) -> int:
    """Return the exit code that an outcome has: of its error, an invalid stage or a failed threshold."""
    if outcome.error:
        return exit_codes.code_for(outcome.error)
    stages = [
        stage
        for configuration in outcome.results.configurations
        for stage in configuration.stages
        if stage.status is not StageStatus.NOT_RUN
    ]
    if any(stage.validity.status is Validity.INVALID for stage in stages if _counts(stage)):
        return exit_codes.INVALID_STAGE
    judged = [
        stage
        for configuration in outcome.results.configurations
        for stage in of_medians(configuration).stages
    ]
    if not all(threshold.ok for stage in judged for threshold in stage.thresholds):
        return exit_codes.THRESHOLD_FAILED
    return exit_codes.DONE


def _counts(stage: Stage) -> bool:
    """Return whether an invalid stage fails the run: of a search's probes, only those that decide it do."""
    return stage.find is None or bool(stage.find.decides)
