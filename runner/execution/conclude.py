"""The end of a run: facts become results, and results become files.

Reports are rendered from the results as they were written, so that a report rendered later is the same.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from msgspec import UNSET
from msgspec.structs import replace

from runner.archive.create import archive_folder, remove_older_archives
from runner.archive.provenance import Provenance
from runner.core.errors import InternalError, OutputError, StoredRunError
from runner.core.facts import RunFacts
from runner.core.results import Results
from runner.execution.context import RunState
from runner.execution.job import Job, Outcome
from runner.store.rendered_files import rendered, write_rendered
from runner.store.results_file import encode_results, parse_results
from runner.store.run_file import RUN, RunFile, relative
from runner.store.run_folder import RESULTS, RunFolder, rescue_folder


def conclude(job: Job, state: RunState, folder: RunFolder) -> Outcome:
    """Write results, report and archive; a fault in doing so becomes the outcome's error."""
    run = _ended(state)
    results = state.analyze(job, run)
    archive: Path | None = None
    try:
        stored = _write(folder, results, state, run_file(job, run))
        Provenance(folder).end()
        archive = archive_folder(folder.path) if stored and state.trials else None
        if archive and job.earlier:
            remove_older_archives(archive)
    except OutputError as error:
        stored, folder = _rescue(results, state, error) or (None, folder)
    return Outcome(stored or results, folder.path, archive, state.signal, state.error)


def run_file(job: Job, run: RunFacts) -> bytes:
    """Return the content of run.json."""
    return RunFile(
        run=run,
        base_dir=relative(job.base_dir, job.out),
        configurations=job.configurations,
        stages=job.stages,
        authorized=job.authorized,
        calibrate=job.calibrate,
        preflight=job.preflight,
        commands_in=relative(job.commands_in, job.out) if job.commands_in else UNSET,
        spec_sha256=job.spec_sha256,
    ).to_json()


def _ended(state: RunState) -> RunFacts:
    early = state.signal is not None or state.error is not None
    return replace(
        state.run,
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        status="aborted" if early else "complete",
        signal=state.signal.name if state.signal else None,
        error=state.error.message if state.error else None,
        hooks=tuple(state.hooks),
    )


def _write(
    folder: RunFolder, results: Results, state: RunState, ended: bytes | None = None
) -> Results | None:
    """Write results.json, that the run has ended, and what is rendered from the results.

    A disk that is too small for the report has room for the first two.

    Returns:
        The results as they were written; None where they cannot be read back. That is noted in the state.

    Raises:
        OutputError: A file cannot be written.
    """
    content = encode_results(results)
    file = folder.write(RESULTS, content)
    if ended is not None:
        folder.write(RUN, ended)
    try:
        stored = parse_results(content, file)
    except StoredRunError as error:
        state.error = state.error or _no_report(file, error)
        return None
    write_rendered(folder, rendered(stored))
    return stored


def _rescue(results: Results, state: RunState, error: OutputError) -> tuple[Results | None, RunFolder] | None:
    """Write the results to a temporary folder; None where that is impossible too."""
    cause = (state.error or error).message
    try:
        folder = rescue_folder()
        stored = _write(folder, results, state)
    except OutputError as second:
        state.error = OutputError(
            f"{cause}; {second.message}", hint=f"{second.hint}; with --json, they are printed"
        )
        return None
    state.error = OutputError(f"{cause}; the results are in {folder.path} instead", hint=error.hint)
    return stored, folder


def _no_report(file: Path, error: StoredRunError) -> InternalError:
    return InternalError(
        f"the results were written, but no report can be made of them: {error.message}",
        hint=f"this is a bug in Loadproof; please report it with {file}",
        details=error.details,
    )
