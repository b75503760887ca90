"""Analyzes a run again from its specification and journal: after a crash, or to check the run.

The numbers of a finished run come out as they were stored. Of a run that was killed, the results contain
everything that is known; the stages that are missing are marked as not run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from runner.analyze.proof_plan import recorded_blocks
from runner.analyze.results import results as analyze
from runner.core.errors import StoredRunError
from runner.core.facts import RunFacts, TrialFacts
from runner.core.results import Results
from runner.experiment.load import read_spec
from runner.experiment.trials import Trial, plan
from runner.store.bounded_read import MAX_JOURNAL, MAX_RUN_FILE, MAX_SPEC, NotReadable, read_bounded
from runner.store.journal import Entry, parse
from runner.store.results_file import encode_results
from runner.store.run_file import JOURNAL, RUN, RunFile, parse_run_file

_SPEC: Final = "spec.yaml"
_KILLED: Final = "its runner was killed"
_LIMITS: Final = {
    RUN: (MAX_RUN_FILE, "a run file"),
    _SPEC: (MAX_SPEC, "a specification"),
    JOURNAL: (MAX_JOURNAL, "a journal"),
}
FORGED: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What the analysis raises for data that no run wrote; a journal may come from anyone."""


@dataclass(frozen=True, slots=True)
class Reanalysis:
    """A run that was analyzed again.

    Attributes:
        results: All numbers and verdicts.
        planned: The trials of the specification, and the blocks of counter-experiments in the journal.
        entries: The journal, line by line.
        run_file: How the run was started.
    """

    results: Results
    planned: tuple[Trial, ...]
    entries: tuple[Entry, ...]
    run_file: RunFile


def reanalyze(
    spec: bytes, run_file: RunFile, trials: Sequence[TrialFacts], *, source: str
) -> tuple[Results, tuple[Trial, ...]]:
    """Return the results of a run, and its plan with the counter-experiments that were run.

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
    if counters := recorded_blocks(planned, trials, results):
        planned += counters
        results = analyzed()
    return results, tuple(planned)


def reanalyze_folder(folder: Path) -> Results:
    """Return the results of a run's folder, finished or not.

    Raises:
        StoredRunError: A file is missing or damaged.
        SpecificationError: Its specification is not one of this version.
    """
    content = {JOURNAL: b""}
    names = list(_LIMITS) if (folder / JOURNAL).exists() else [RUN, _SPEC]
    for name in names:
        limit, what = _LIMITS[name]
        try:
            content[name] = read_bounded(folder / name, limit, what)
        except NotReadable as error:
            raise StoredRunError(
                str(error), hint="the journal cannot be analyzed without it; run the experiment again"
            ) from None
    return reanalyze_files(content, where=f"{folder}/").results


def reanalyze_files(files: Mapping[str, bytes], *, where: str) -> Reanalysis:
    """Analyze the contents of run.json, spec.yaml and journal.ndjson.

    Args:
        files: Name to content.
        where: Prefix of the names in messages.

    Raises:
        StoredRunError: One of them is damaged, or its data are not those of a run.
        SpecificationError: The specification is not one of this version.
    """
    try:
        return _reanalyzed(files, where)
    except FORGED as error:
        raise StoredRunError(
            f"{where}{JOURNAL}: its data are not those of a run ({type(error).__name__} while computing its "
            "numbers)",
            hint="do not trust it; run the experiment again",
        ) from None


def _reanalyzed(files: Mapping[str, bytes], where: str) -> Reanalysis:
    run_file = parse_run_file(files[RUN], where + RUN)
    entries = parse(files[JOURNAL], where + JOURNAL)
    latest = {entry.trial.order: entry.trial for entry in entries}
    results, planned = reanalyze(files[_SPEC], run_file, list(latest.values()), source=where + _SPEC)
    encode_results(results)  # refuses infinity, which JSON cannot express
    return Reanalysis(results, planned, tuple(entries), run_file)


def _ended(run: RunFacts) -> RunFacts:
    """A run whose end was never written was killed."""
    if run.is_finished:
        return run
    return replace(run, status="aborted", error=_KILLED)
