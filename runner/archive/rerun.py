"""An archive as an experiment to be run again: checked first, and aimed by nobody but who runs it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from runner.analyze.reproduction import reproduction
from runner.archive import lock
from runner.archive.diff import LOCK, surroundings, surroundings_now
from runner.archive.files import SPEC
from runner.archive.unpack import Archive, read_archive
from runner.archive.verify import verify
from runner.core.errors import ArchiveDamaged, EnvironmentLacks, StoredRunError
from runner.experiment.load import read_spec
from runner.experiment.model import DockerTopology, Experiment
from runner.report.reproduction import render_reproduction
from runner.stack.docker.context import content_digest, find_folder
from runner.store.reanalyze import recount_files
from runner.store.run_file import RUN, Begun, parse_begun
from runner.store.run_folder import RunFolder

REPRODUCTION: Final = "reproduction"
"""Name of the two files with the comparison, ``.md`` and ``.json``."""

_MADE_UP: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What computing meets in data that no run wrote; an archive may come from anybody."""


@dataclass(frozen=True, slots=True)
class Again:
    """An archive that was found to be whole.

    Attributes:
        archive: Its files.
        begun: How its run was begun.
        results: Its numbers, with the verdicts of this version's rules.
        base_dir: Where relative paths of its specification start now.
    """

    archive: Archive
    begun: Begun
    results: Mapping[str, Any]
    base_dir: Path

    @property
    def spec(self) -> bytes:
        """The specification, byte for byte."""
        return self.archive.files[SPEC]


def read_again(path: Path, base_dir: Path | None) -> Again:
    """An archive, every byte and every number of it checked.

    Args:
        path: The ZIP.
        base_dir: Where relative paths start; None for where they started when the archive lies in its run's
            folder still, else the current directory.

    Raises:
        StoredRunError: It cannot be read.
        ArchiveDamaged: It is damaged, or its numbers do not follow from its data.
    """
    archive, _ = checked(path)
    begun = parse_begun(archive.files[RUN], f"{path}: {RUN}")
    results = recount_files(archive.files, where=f"{path}: ")
    if base_dir is None:
        at_home = (path.parent / RUN).is_file()
        base_dir = path.parent / begun.base_dir if at_home else Path()
    return Again(archive, begun, results, base_dir.resolve())


def written_by(archive: Archive) -> str:
    """The Loadproof that an archive says wrote it: its version and the digest of its code."""
    software = _software(archive)
    version, code = (str(software.get(key) or "unknown") for key in ("loadproof", "code_sha256"))
    return f"{version}, code {code[:12]}"


def _software(archive: Archive) -> Mapping[str, Any]:
    pinned = _parsed(archive.files[LOCK]) if LOCK in archive.files else {}
    software = pinned.get("software")
    return software if isinstance(software, Mapping) else {}


def checked(path: Path) -> tuple[Archive, tuple[str, ...]]:
    """An archive whose numbers follow from its data, and what this code makes read otherwise.

    The latter is let pass only where other code than this wrote the archive.

    Raises:
        StoredRunError: It cannot be read.
        ArchiveDamaged: It is damaged, or they do not.
    """
    archive = read_archive(path)
    try:
        found = verify(archive.files, str(path))
    except ArchiveDamaged:
        raise
    except StoredRunError as error:
        raise ArchiveDamaged(error.message, hint=error.hint, details=error.details) from None
    except _MADE_UP as error:
        raise ArchiveDamaged(
            f"{path}: its data are not those of a run ({type(error).__name__} in computing its numbers)",
            hint="do not trust it; run the experiment again",
        ) from None
    wrong = found.wrong
    if _software(archive).get("code_sha256") == lock.code_digest():
        wrong += found.otherwise
    if wrong:
        raise ArchiveDamaged(
            f"{path}: its files are those of its manifest, but they do not follow from its data",
            hint="do not trust it; run the experiment again",
            details=wrong,
        )
    return archive, found.otherwise


def differs_now(again: Again) -> list[dict[str, str]]:
    """What is not as it was, as far as it shows before anything is started.

    Returns:
        ``what``, ``base`` and ``head`` of each difference of host, software and build folders.

    Raises:
        EnvironmentLacks: A build folder is not found.
    """
    files = again.archive.files
    spec = read_spec(again.spec, source=f"{again.archive.path}: {SPEC}", overrides=again.begun.run.overrides)
    return [*surroundings_now(files), *_builds(spec, _parsed(files[LOCK]), again)]


def conclude(again: Again, results: Mapping[str, Any], folder: Path, archive: Path | None) -> dict[str, Any]:
    """Hold the new run against the archive, and write the answer beside it.

    Args:
        again: The archive.
        results: Of the new run.
        folder: The new run's.
        archive: The new run's archive, None when there is none.

    Raises:
        OutputError: The answer cannot be written.
    """
    files = again.archive.files
    now = read_archive(archive).files if archive else None
    found = reproduction(
        again.results,
        results,
        differs=surroundings(files, now) if now else surroundings_now(files),
        identity=again.archive.identity,
    )
    text = json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    RunFolder(folder).write(f"{REPRODUCTION}.json", text.encode())
    RunFolder(folder).write(f"{REPRODUCTION}.md", render_reproduction(found).encode())
    return found


def _builds(spec: Experiment, pinned: Mapping[str, Any], again: Again) -> Sequence[dict[str, str]]:
    """Build folders that hold something else than they did."""
    found = []
    for configuration in spec.configurations:
        topology = configuration.topology
        known = (pinned.get("configurations") or {}).get(configuration.name) or {}
        if not isinstance(topology, DockerTopology) or not topology.app.build or not known:
            continue
        was = (known.get("build") or {}).get("content")
        now = content_digest(_folder(topology.app.build, again))
        if was != now:
            what = f"{configuration.name}.build.content"
            found.append({"what": what, "base": str(was or "–"), "head": now})
    return found


def _folder(build: str, again: Again) -> Path:
    try:
        return find_folder(build, again.base_dir)
    except EnvironmentLacks as error:
        hint = (
            "an archive has no build folders: check out the commit in its git.json, and name the folder "
            "of the specification with --base-dir"
        )
        raise EnvironmentLacks(error.message, hint=hint, details=error.details) from None


def _parsed(content: bytes) -> Any:
    return json.loads(content)
