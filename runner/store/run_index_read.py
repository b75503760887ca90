"""Reads one run of a folder for its row in a list, whatever is in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

from runner.analyze.medians import of_medians
from runner.core.codes import StageStatus
from runner.core.errors import (
    ArchiveDamaged,
    ForeignArchive,
    LoadproofError,
    SpecificationError,
    StoredRunError,
)
from runner.core.metrics import cut_off_share
from runner.core.results import Results
from runner.core.stage_results import Stage
from runner.report.headline import headline
from runner.report.threshold_lines import threshold_lines
from runner.store.bounded_read import MAX_SPEC, NotReadable, read_bounded
from runner.store.live_file import is_in_progress, read_beginning, read_end
from runner.store.results_file import read_results
from runner.store.run_candidate import Candidate, short, unmeasured
from runner.store.run_file import parse_run_file
from runner.store.run_names import JOURNAL, RESULTS, RUN, SPEC
from runner.store.run_summary import RunState, RunSummary
from runner.store.unfinished import is_unfinished

ArchiveReader: TypeAlias = Callable[[Path], Results]
"""Returns the results in an archive, compared with its manifest; see `runner.archive.results_from`."""

_MAX_RUN_FILE: Final = 1024 * 1024
_CURVE: Final = 24
_ZIP: Final = b"PK"
_FORGED: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What results that no run wrote can raise."""
_MACHINE: Final = ("machine", "cpu_model", "cpu_count", "cpus_usable", "hypervisor")


def summarize(folder: Path, candidate: Candidate, read_archive: ArchiveReader) -> RunSummary:
    """Return the row of a run; of what is none, or is damaged, a row that says so."""
    if candidate.state in {RunState.LINK, RunState.UNREADABLE}:
        return unmeasured(candidate, candidate.state, candidate.problem)
    try:
        return _summary(folder / candidate.path, candidate, read_archive)
    except LoadproofError as error:
        return _damaged(folder, candidate, error)
    except MemoryError:
        problem = "it needs more memory than there is"
    except _FORGED as error:
        problem = f"its data are not those of a run ({type(error).__name__})"
    return unmeasured(candidate, RunState.DAMAGED, problem)


def _summary(where: Path, candidate: Candidate, read_archive: ArchiveReader) -> RunSummary:
    if candidate.is_archive:
        return _of_results(candidate, read_archive(where))
    if RESULTS in candidate.names and not is_unfinished(where):
        return _of_results(candidate, read_results(where))
    return _unfinished(candidate, where)


def _damaged(folder: Path, candidate: Candidate, error: LoadproofError) -> RunSummary:
    """Return the row of a run that cannot be read, or of a file that another program wrote."""
    where = str(folder / candidate.path)

    def relative(text: str) -> str:
        text = text.removeprefix(f"cannot read {where}: ")
        return text.replace(f"{where}/", "").replace(f"{where}: ", "")

    message, hint, *details = map(relative, (error.message, error.hint, *error.details[:1]))
    message = f"{message}: {details[0]}" if details else message
    if isinstance(error, ForeignArchive):
        return unmeasured(candidate, RunState.FOREIGN, message, hint)
    if isinstance(error, ArchiveDamaged) and _starts_as_zip(folder / candidate.path):
        return unmeasured(candidate, RunState.UNVERIFIED, message, hint)
    if candidate.is_archive or not candidate.names - {RESULTS}:
        return unmeasured(candidate, RunState.FOREIGN, message)
    return unmeasured(candidate, RunState.DAMAGED, message, hint)


def _starts_as_zip(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(len(_ZIP)) == _ZIP
    except OSError:
        return False


def _unfinished(candidate: Candidate, where: Path) -> RunSummary:
    """Return the row of a run without results: it is in progress, or was interrupted."""
    experiment, title = _experiment(where)
    started_at, run_id = candidate.changed_at, ""
    try:
        content = read_bounded(where / RUN, _MAX_RUN_FILE, "a run file")
        run = parse_run_file(content, RUN).run
        started_at, run_id = _utc(run.started_at) or started_at, short(run.run_id)
    except (NotReadable, StoredRunError):
        pass
    known = {"experiment": experiment, "title": title, "started_at": started_at, "run_id": run_id}
    ended = read_end(where)
    if ended and ended.status == "failed" and JOURNAL not in candidate.names:
        reason = " ".join(ended.reason.split())  # the list shows it on one line
        problem = f"it ended before the load: {reason}" if reason else "it ended before the load"
        hint = "mend what failed, and run the experiment again"
        return unmeasured(candidate, RunState.FAILED, problem, hint, **known)
    beginning = read_beginning(where)
    if beginning and is_in_progress(beginning, where):
        return unmeasured(candidate, RunState.RUNNING, **known)
    trials = f"{JOURNAL} has the trials that ended" if JOURNAL in candidate.names else "no trial has ended"
    hint = (
        "`runner report RUN` shows what the journal contains; `runner execute --resume RUN` continues the run"
    )
    return unmeasured(candidate, RunState.INTERRUPTED, f"it never ended; {trials}", hint, **known)


def _experiment(where: Path) -> tuple[str, str]:
    """Return the name and the title in a run's specification; empty where there are none."""
    from runner.experiment.load import read_spec  # noqa: PLC0415  (pydantic takes long; few runs need it)

    try:
        experiment = read_spec(read_bounded(where / SPEC, MAX_SPEC, "a specification"), source=SPEC)
    except (NotReadable, SpecificationError):
        return "", ""
    return short(experiment.name), short(experiment.title or "")


def _of_results(candidate: Candidate, results: Results) -> RunSummary:
    run, ran, head = results.run, list(_stages(results)), headline(results)
    judged = threshold_lines(results)
    return RunSummary(
        candidate.path,
        candidate.key,
        RunState.COMPLETE if run.status == "complete" else RunState.ABORTED,
        candidate.is_archive,
        short(run.error or ""),
        experiment=short(results.experiment.name),
        title=short(results.experiment.title),
        run_id=short(run.id),
        started_at=_utc(run.started_at) or candidate.changed_at,
        duration_s=_duration(run.started_at, run.finished_at),
        sentence=short(head.sentence),
        tone=head.tone,
        verdict=head.outcome,
        confidence=head.confidence or "",
        validity=head.validity or "",
        rate=head.rate,
        unit=short(head.rate_unit),
        is_sustained=head.is_sustained,
        p95_ms=head.p95_ms,
        error_share=head.error_share,
        stages=len(ran),
        thresholds=len(judged),
        thresholds_failed=sum(not line.ok for line in judged),
        curve=_curve(results),
        machine=_machine(results),
        archive=candidate.archive,
        specification=_specification(results),
        cut_off_share=cut_off_share(head.stage) if head.stage else 0.0,
    )


def _stages(results: Results) -> Iterator[Stage]:
    for configuration in results.configurations:
        for stage in of_medians(configuration).stages:
            if stage.status is not StageStatus.NOT_RUN:
                yield stage


def _curve(results: Results) -> tuple[float, ...]:
    """Return the rate over the run, stage after stage, as at most `_CURVE` averages."""
    stages = sorted(
        (stage for configuration in results.configurations for stage in configuration.stages),
        key=lambda stage: stage.order,
    )
    rates = [moment.rps or 0.0 for stage in stages for moment in stage.timeseries if moment.t_s > 0]
    step = -(-len(rates) // _CURVE) or 1
    parts = (rates[at : at + step] for at in range(0, len(rates), step))
    return tuple(round(sum(part) / len(part), 1) for part in parts)


def _machine(results: Results) -> str:
    text = repr([results.environment.get(name) for name in _MACHINE])
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:12]


def _specification(results: Results) -> str:
    """Return the digest of what the run was asked to do: the file and what the command line changed in it."""
    text = repr((results.experiment.spec_sha256, results.run.overrides))
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:12]


def _utc(text: str) -> str:
    """Return a time as ISO 8601 in UTC, to the second; empty for what is no time."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        return ""


def _duration(start: str, end: str | None) -> float | None:
    begun, ended = _utc(start), _utc(end or "")
    if not begun or not ended:
        return None
    seconds = (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds()
    return seconds if seconds >= 0 else None
