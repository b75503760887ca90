"""Analyzes a run again from its specification and journal: after a crash, or to check the run.

The numbers of a finished run come out as they were stored. Of a run that was killed, the results contain
everything that is known; the stages that are missing are marked as not run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from runner.analyze.results import results as analyze
from runner.core.codes import StageStatus
from runner.core.errors import StoredRunError
from runner.core.facts import RunFacts, TrialFacts
from runner.core.results import Results
from runner.experiment.load import read_spec
from runner.experiment.trials import Trial, counter_trials, plan
from runner.store.journal import parse
from runner.store.run_file import JOURNAL, RUN, RunFile, parse_run_file

_SPEC: Final = "spec.yaml"
_KILLED: Final = "its runner was killed"


def reanalyze(spec: bytes, run_file: RunFile, trials: Sequence[TrialFacts], *, source: str) -> Results:
    """Return the results of a run.

    Args:
        spec: The specification, byte for byte.
        run_file: How the run was started, and how it ended if it did.
        trials: What happened.
        source: Name of the specification in error messages.

    Raises:
        SpecificationError: `spec` is not a specification of this version.
    """
    experiment = read_spec(spec, source=source, overrides=run_file.run.overrides)
    planned = list(plan(experiment, configurations=run_file.configurations, stages=run_file.stages))
    digest = hashlib.sha256(spec).hexdigest()
    run = _ended(run_file.run)

    def analyzed() -> Results:
        return analyze(experiment, spec_sha256=digest, run=run, trials=trials, planned=planned)

    results = analyzed()
    if counters := counter_experiments(planned, results):
        planned += counters
        results = analyzed()
    return results


def reanalyze_folder(folder: Path) -> Results:
    """Return the results of a run's folder, finished or not.

    Raises:
        StoredRunError: A file is missing or damaged.
        SpecificationError: Its specification is not one of this version.
    """
    content = {JOURNAL: b""}
    names = (RUN, _SPEC, JOURNAL) if (folder / JOURNAL).exists() else (RUN, _SPEC)
    for name in names:
        try:
            content[name] = (folder / name).read_bytes()
        except OSError as error:
            raise StoredRunError(
                f"cannot read {folder / name}: {error.strerror}",
                hint="the journal cannot be analyzed without it; run the experiment again",
            ) from None
    return reanalyze_files(content, where=f"{folder}/")


def reanalyze_files(files: Mapping[str, bytes], *, where: str) -> Results:
    """Return the results of the contents of run.json, spec.yaml and journal.ndjson.

    Args:
        files: Name to content.
        where: Prefix of the names in messages.

    Raises:
        StoredRunError: One of them is damaged.
        SpecificationError: The specification is not one of this version.
    """
    run_file = parse_run_file(files[RUN], where + RUN)
    latest = {entry.trial.order: entry.trial for entry in parse(files[JOURNAL], where + JOURNAL)}
    return reanalyze(files[_SPEC], run_file, list(latest.values()), source=where + _SPEC)


def counter_experiments(planned: Sequence[Trial], results: Results) -> tuple[Trial, ...]:
    """Return the trials to add, each with one change, that confirm or refute the verdicts of `results`."""
    if not any(trial.configuration.prove for trial in planned):
        return ()
    verdicts = {
        stage.order: stage.verdict.code
        for configuration in results.configurations
        for stage in configuration.stages
        if stage.status is StageStatus.COMPLETE
    }
    return counter_trials(planned, verdicts)


def _ended(run: RunFacts) -> RunFacts:
    """A run whose end was never written was killed."""
    if run.finished_at is not None:
        return run
    return replace(run, status="aborted", error=_KILLED)
