"""The files of an archive, generated from a run's folder alone: the same folder always gives the same bytes.

What can only be recorded during the run comes from its `provenance` folder, unchanged; the archive of a run
without one contains what its journal contains.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from runner.archive.crate import CRATE, crate
from runner.archive.hdrlog import encoded_trials, interval_log
from runner.archive.inputs import FOLDER, INPUTS, recorded_inputs
from runner.archive.lock import Software, lock
from runner.archive.provenance import AFTER, BEFORE, GIT, LOGS, PROVENANCE, RENDERED, SOFTWARE, json_file
from runner.archive.readme import README, readme
from runner.core.errors import StoredRunError
from runner.core.results import Results
from runner.core.units import Bytes
from runner.experiment.load import read_spec
from runner.experiment.resolved import resolved_text
from runner.experiment.suggestions import harmless
from runner.store.bounded_read import MAX_JOURNAL, NotReadable, read_bounded
from runner.store.journal import parse
from runner.store.results_file import parse_results
from runner.store.run_file import JOURNAL, RUN, parse_run_file
from runner.store.run_names import MARKDOWN

SPEC, RESOLVED, RESULTS = "spec.yaml", "spec.resolved.yaml", "results.json"
HISTOGRAMS, LOCK = "histograms.hlog", "lock.json"
DERIVED: Final = (RESOLVED, HISTOGRAMS, LOCK, README, CRATE)
"""Generated from the other files, here and by `runner verify`."""

MAX_LOG_BYTES: Final[Bytes] = 64 * 1024

NEEDED: Final = (SPEC, RUN, JOURNAL, RESULTS)
KEPT: Final = (BEFORE, AFTER, GIT, SOFTWARE, INPUTS, f"{FOLDER}/*", f"{RENDERED}/*/*", f"{LOGS}/*/*.log")
"""Patterns for the names of what was recorded during the run, copied unchanged."""
SHOWN: Final = (MARKDOWN, "charts/*.svg")
"""Patterns for the names of the report and its charts, where the run has them."""


def content(run: Path) -> dict[str, bytes]:
    """Return name to content of every file of a run's archive except its manifest.

    `report.html` is left out: `runner report ARCHIVE --format html` generates it again.

    Raises:
        StoredRunError: A file of the run is missing or damaged.
        SpecificationError: Its specification is not one of this version.
    """
    files = {name: _read(run / name) for name in NEEDED}
    files |= {name: _read(run / name) for name in _shown(run)}
    files |= dict(_kept(run / PROVENANCE))
    results = parse_results(files[RESULTS], run / RESULTS)
    files |= derived(files, results, f"{run}/")
    return dict(sorted(files.items()))


def derived(files: Mapping[str, bytes], results: Results, where: str) -> dict[str, bytes]:
    """Return the files that are generated from the others; `runner verify` generates them again.

    Args:
        files: All the others.
        results: Of the run.
        where: Prefix of names in messages.

    Raises:
        StoredRunError: One of the others is damaged.
        SpecificationError: The specification is not one of this version.
    """
    run_file = parse_run_file(files[RUN], where + RUN)
    trials = {entry.trial.order: entry.trial for entry in parse(files[JOURNAL], where + JOURNAL)}
    resolved = resolved_text(read_spec(files[SPEC], source=SPEC, overrides=run_file.run.overrides)).encode()
    locked = lock(
        spec=files[SPEC],
        resolved=resolved,
        software=_software(files[SOFTWARE], where + SOFTWARE) if SOFTWARE in files else None,
        trials=list(trials.values()),
        inputs=recorded_inputs(files, where),
    )
    made = {
        RESOLVED: resolved,
        HISTOGRAMS: interval_log(encoded_trials(files[JOURNAL], where + JOURNAL)).encode(),
        LOCK: json_file(locked),
        README: readme(results, locked, narrowed=bool(run_file.configurations or run_file.stages)),
    }
    sizes = {name: len(content) for name, content in sorted({**files, **made}.items())}
    return made | {CRATE: crate(sizes, results, locked.version)}


def _software(content: bytes, source: str) -> Software:
    try:
        return msgspec.json.decode(content, type=Software)
    except (ValueError, RecursionError) as error:
        raise StoredRunError(f"{source} is damaged: {harmless(str(error))}") from None


def _read(path: Path) -> bytes:
    try:
        return read_bounded(path, MAX_JOURNAL, "a file of a run")
    except NotReadable as error:
        raise StoredRunError(str(error), hint="an archive needs the complete folder of a run") from None


def _shown(run: Path) -> Iterator[str]:
    """Yield the names of the report and its charts."""
    for pattern in SHOWN:
        yield from (path.relative_to(run).as_posix() for path in sorted(run.glob(pattern)) if _is_plain(path))


def _is_plain(path: Path) -> bool:
    """Whether a path is a regular file; what a link points to is no part of the run."""
    return path.is_file() and not path.is_symlink()


def _kept(provenance: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of what was recorded during the run; of logs the last 64 KiB."""
    for pattern in KEPT:
        for path in sorted(provenance.glob(pattern)):
            if _is_plain(path):
                text = _read(path)
                yield path.relative_to(provenance).as_posix(), tail(text) if path.suffix == ".log" else text


def tail(text: bytes, max_bytes: Bytes = MAX_LOG_BYTES) -> bytes:
    """Return the end of a log in complete lines, after a line that states how much is left out."""
    if len(text) <= max_bytes:
        return text
    head = b"(%d bytes before this are left out)\n"
    kept = text[-(max_bytes - len(head) - 20) :]
    kept = kept[kept.find(b"\n") + 1 :] if b"\n" in kept[:-1] else kept
    return head % (len(text) - len(kept)) + kept
