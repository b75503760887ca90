"""What an archive holds, made from a run's folder alone: the same folder, the same bytes, anywhere.

What could only be known while the run was on lies in its `provenance` folder and is taken over
as it is; of a run that kept none, the archive holds what its journal says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from runner.archive.crate import CRATE, crate
from runner.archive.hdrlog import interval_log
from runner.archive.lock import lock
from runner.archive.provenance import AFTER, BEFORE, GIT, LOGS, PROVENANCE, RENDERED, SOFTWARE
from runner.archive.readme import README, readme, version_of
from runner.core.errors import StoredRunError
from runner.core.units import Bytes
from runner.experiment.load import read_spec
from runner.experiment.resolved import resolved_text
from runner.store.rendered_files import MARKDOWN
from runner.store.run_file import JOURNAL, RUN, parse_begun

SPEC, RESOLVED, RESULTS = "spec.yaml", "spec.resolved.yaml", "results.json"
HISTOGRAMS, LOCK = "histograms.hlog", "lock.json"
DERIVED: Final = (RESOLVED, HISTOGRAMS, LOCK, README, CRATE)
"""Made from the other files, here and by `runner verify`."""

MOST_LOG_BYTES: Final[Bytes] = 64 * 1024

NEEDED: Final = (SPEC, RUN, JOURNAL, RESULTS)
KEPT: Final = (BEFORE, AFTER, GIT, SOFTWARE, f"{RENDERED}/*/*", f"{LOGS}/*/*.log")
"""What was kept while the run was on, as patterns of names: taken over as it is."""
SHOWN: Final = (MARKDOWN, "charts/*.svg")
"""The report and its charts, so far as the run has them; patterns too."""


def content(run: Path) -> dict[str, bytes]:
    """Every file of the archive of a run but its manifest, by its name.

    `report.html` is left out: `runner report ARCHIVE --format html` makes it again.

    Raises:
        StoredRunError: A file of the run is missing or damaged.
        SpecificationError: Its specification is none.
    """
    files = {name: _read(run / name) for name in NEEDED}
    files |= {name: _read(run / name) for name in _shown(run)}
    files |= dict(_kept(run / PROVENANCE))
    files |= derived(files, f"{run}/")
    return dict(sorted(files.items()))


def derived(files: Mapping[str, bytes], where: str) -> dict[str, bytes]:
    """The files that are made from the others; `runner verify` makes them again.

    Args:
        files: All the others.
        where: Put before names in messages.

    Raises:
        StoredRunError: One of the others is damaged.
        SpecificationError: The specification is none.
    """
    begun = parse_begun(files[RUN], where + RUN)
    trials = _trials(files[JOURNAL], where + JOURNAL)
    results = _json(files[RESULTS], where + RESULTS)
    software = _json(files[SOFTWARE], where + SOFTWARE) if SOFTWARE in files else None
    resolved = resolved_text(read_spec(files[SPEC], source=SPEC, overrides=begun.run.overrides)).encode()
    pinned = lock(spec=files[SPEC], resolved=resolved, software=software, trials=trials)
    found = {
        RESOLVED: resolved,
        HISTOGRAMS: interval_log(trials).encode(),
        LOCK: json.dumps(pinned, indent=1, ensure_ascii=False).encode() + b"\n",
        README: readme(results, pinned, narrowed=bool(begun.configurations or begun.stages)),
    }
    sizes = {name: len(content) for name, content in sorted({**files, **found}.items())}
    return found | {CRATE: crate(sizes, results, version_of(pinned))}


def _json(content: bytes, source: str) -> Any:
    try:
        found = json.loads(content)
    except ValueError as error:
        raise StoredRunError(f"{source} is no JSON ({error})") from None
    if not isinstance(found, dict):
        raise StoredRunError(f"{source} is no JSON object")
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoredRunError(
            f"cannot read {path}: {error.strerror}", hint="an archive needs the whole folder of a run"
        ) from None


def _trials(journal: bytes, source: str) -> Sequence[Mapping[str, Any]]:
    """The last word on every trial, histograms still encoded; a line cut off by a crash is left out."""
    latest: dict[int, Mapping[str, Any]] = {}
    lines = journal.splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            trial = json.loads(line)["trial"]
            latest[int(trial["order"])] = trial
        except (ValueError, KeyError, TypeError):
            if number < len(lines):
                raise StoredRunError(f"{source}, line {number} is damaged") from None
    return list(latest.values())


def _shown(run: Path) -> Iterator[str]:
    """Names of the report and its charts."""
    for pattern in SHOWN:
        yield from (path.relative_to(run).as_posix() for path in sorted(run.glob(pattern)) if path.is_file())


def _kept(provenance: Path) -> Iterator[tuple[str, bytes]]:
    """What was kept while the run was on; logs end with their last 64 KiB."""
    for pattern in KEPT:
        for path in sorted(provenance.glob(pattern)):
            if path.is_file() and not path.is_symlink():
                text = _read(path)
                yield path.relative_to(provenance).as_posix(), tail(text) if path.suffix == ".log" else text


def tail(text: bytes, most: Bytes = MOST_LOG_BYTES) -> bytes:
    """The end of a log from a whole line on, with a line before it that says what is missing."""
    if len(text) <= most:
        return text
    head = b"(%d bytes before this are left out)\n"
    kept = text[-(most - len(head) - 20) :]
    kept = kept[kept.find(b"\n") + 1 :] if b"\n" in kept[:-1] else kept
    return head % (len(text) - len(kept)) + kept
