"""results.json once more, from the specification and the journal: after a crash, or to check a run.

The numbers of a finished run come out as they were stored; of a run that was killed, what
can be known is shown and the rest is said to be missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from runner.analyze.results import results as analyze
from runner.core.errors import StoredRunError
from runner.core.facts import RunFacts, TrialFacts
from runner.experiment.load import read_spec
from runner.experiment.trials import Trial, counter_trials, plan
from runner.store.journal import parse
from runner.store.run_file import RUN, Begun, parse_begun

_SPEC: Final = "spec.yaml"
_JOURNAL: Final = "journal.ndjson"
_KILLED: Final = "its runner was killed"


def recount(spec: bytes, begun: Begun, trials: Sequence[TrialFacts], *, source: str) -> dict[str, Any]:
    """The content of results.json.

    Args:
        spec: The specification, byte for byte.
        begun: How the run was begun, and how it ended if it did.
        trials: What happened.
        source: Name of the specification in error messages.

    Raises:
        SpecificationError: `spec` is no specification of this version.
    """
    experiment = read_spec(spec, source=source, overrides=begun.run.overrides)
    planned = list(plan(experiment, configurations=begun.configurations, stages=begun.stages))
    digest = hashlib.sha256(spec).hexdigest()
    run = _ended(begun.run)

    def analyzed() -> dict[str, Any]:
        return analyze(experiment, spec_sha256=digest, run=run, trials=trials, planned=planned)

    found = analyzed()
    if counters := counter_experiments(planned, found):
        planned += counters
        found = analyzed()
    return found


def recount_folder(folder: Path) -> dict[str, Any]:
    """The same for a run's folder, finished or not.

    Raises:
        StoredRunError: A file is missing or damaged.
        SpecificationError: As of `recount`.
    """
    content = {_JOURNAL: b""}
    names = (RUN, _SPEC, _JOURNAL) if (folder / _JOURNAL).exists() else (RUN, _SPEC)
    for name in names:
        try:
            content[name] = (folder / name).read_bytes()
        except OSError as error:
            raise StoredRunError(
                f"cannot read {folder / name}: {error.strerror}",
                hint="without it the journal cannot be understood; run the experiment again",
            ) from None
    return recount_files(content, where=f"{folder}/")


def recount_files(files: Mapping[str, bytes], *, where: str) -> dict[str, Any]:
    """The same for the contents of run.json, spec.yaml and journal.ndjson.

    Args:
        files: Name to content.
        where: Put before the names in messages.

    Raises:
        StoredRunError: One of them is damaged.
        SpecificationError: As of `recount`.
    """
    begun = parse_begun(files[RUN], where + RUN)
    latest = {entry.trial.order: entry.trial for entry in parse(files[_JOURNAL], where + _JOURNAL)}
    return recount(files[_SPEC], begun, list(latest.values()), source=where + _SPEC)


def counter_experiments(planned: Sequence[Trial], found: Mapping[str, Any]) -> tuple[Trial, ...]:
    """What is to be run again with one change, to confirm or refute the verdicts in `found`."""
    if not any(trial.configuration.prove for trial in planned):
        return ()
    codes = {
        stage["order"]: stage["verdict"]["code"]
        for configuration in found["configurations"]
        for stage in configuration["stages"]
        if stage["status"] == "complete"
    }
    return counter_trials(planned, codes)


def _ended(run: RunFacts) -> RunFacts:
    """A run that never wrote how it ended was killed."""
    if run.finished_at is not None:
        return run
    return replace(run, status="aborted", error=_KILLED)
