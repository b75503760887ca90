"""Runs an archive's experiment again: the archive is checked first, and only the user authorizes the load."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from runner.analyze.reproduction import reproduction
from runner.archive import lock
from runner.archive.diff import LOCK, surroundings, surroundings_now
from runner.archive.files import SPEC
from runner.archive.inputs import recorded_inputs
from runner.archive.lock import Lock, LockedSystem
from runner.archive.provenance import json_file
from runner.archive.unpack import Archive, read_archive
from runner.archive.verify import Verified, verify
from runner.core.codes import Role
from runner.core.comparison import ReproductionResults, SideBySide
from runner.core.errors import ArchiveDamaged, EnvironmentLacks, StoredRunError
from runner.core.results import Results
from runner.experiment.load import read_spec
from runner.experiment.model import Experiment
from runner.experiment.suggestions import harmless
from runner.report.reproduction import render_reproduction
from runner.stack.docker.context import content_digest, find_folder, mount_digest
from runner.store.reanalyze import FORGED, reanalyze_files
from runner.store.request_files import file_digest, is_outside
from runner.store.run_file import RUN, RunFile
from runner.store.run_folder import RunFolder

REPRODUCTION: Final = "reproduction"
"""Name of the two files with the comparison, ``.md`` and ``.json``."""


_HINT: Final = (
    "an archive contains no build folders and no files of services: check out the commit in its git.json, "
    "and give the folder of the specification with --base-dir"
)


@dataclass(frozen=True, slots=True)
class Rerun:
    """A checked archive whose experiment is to be run again.

    Attributes:
        archive: Its files.
        run_file: How its run was started.
        results: Its results, with the verdicts of this version's rules.
        base_dir: Where relative paths of its specification start now.
    """

    archive: Archive
    run_file: RunFile
    results: Results
    base_dir: Path

    @property
    def spec(self) -> bytes:
        """The specification, byte for byte."""
        return self.archive.files[SPEC]


def read_rerun(path: Path, base_dir: Path | None) -> Rerun:
    """Return an archive whose every byte and every number was checked.

    Args:
        path: The ZIP.
        base_dir: Where relative paths start; None for where they started if the archive is still in its run's
            folder, else the current directory.

    Raises:
        StoredRunError: It cannot be read.
        ArchiveDamaged: It is damaged, or its numbers do not follow from its data.
    """
    archive, _ = checked(path)
    run = reanalyze_files(archive.files, where=f"{path}: ")
    if base_dir is None:
        in_its_folder = (path.parent / RUN).is_file()
        base_dir = path.parent / run.run_file.base_dir if in_its_folder else Path()
    return Rerun(archive, run.run_file, run.results, base_dir.resolve())


def written_by(archive: Archive) -> str:
    """Return the version of Loadproof that an archive states as its origin, with the digest of its code."""
    locked = _lock(archive.files)
    code = locked.software.code_sha256 if locked and locked.software else ""
    return f"{locked.version if locked else 'unknown'}, code {code[:12] or 'unknown'}"


def _lock(files: Mapping[str, bytes]) -> Lock | None:
    """Return the content of lock.json; None if there is none that can be read."""
    try:
        return msgspec.json.decode(files[LOCK], type=Lock)
    except (LookupError, ValueError, RecursionError):
        return None


def checked(path: Path) -> tuple[Archive, Verified]:
    """Return an archive whose numbers follow from its data, and what was found while verifying it.

    Differences that other rules explain are accepted only if other code than this wrote the archive.

    Raises:
        StoredRunError: It cannot be read.
        ArchiveDamaged: It is damaged, or its numbers do not follow from its data.
    """
    archive = read_archive(path)
    try:
        result = verify(archive.files, str(path))
    except ArchiveDamaged:
        raise
    except StoredRunError as error:
        raise ArchiveDamaged(error.message, hint=error.hint, details=error.details) from None
    except FORGED as error:
        raise ArchiveDamaged(
            f"{path}: its data are not those of a run ({type(error).__name__} while computing its numbers)",
            hint="do not trust it; run the experiment again",
        ) from None
    wrong = result.wrong
    locked = _lock(archive.files)
    if locked and locked.software and locked.software.code_sha256 == lock.code_digest():
        wrong += result.explained
    if wrong:
        raise ArchiveDamaged(
            f"{path}: its files match its manifest, but they do not follow from its data",
            hint="do not trust it; run the experiment again",
            details=wrong,
        )
    return archive, result


def differs_now(rerun: Rerun, commands_in: Path) -> list[SideBySide]:
    """Return the differences in host, software, build folders and files, as far as they show before a run.

    Args:
        rerun: The archive.
        commands_in: Where commands start.

    Raises:
        EnvironmentLacks: A build folder, or a file that requests send, is not found.
    """
    files = rerun.archive.files
    spec = read_spec(
        rerun.spec, source=f"{rerun.archive.path}: {SPEC}", overrides=rerun.run_file.run.overrides
    )
    return [
        *surroundings_now(files),
        *_changed_builds(spec, rerun),
        *_changed_mounts(spec, rerun),
        *_changed_files(rerun, commands_in),
    ]


def check_files_outside(rerun: Rerun, paths: Iterable[str]) -> None:
    """Raise EnvironmentLacks unless the files that lead out of the folder are those that the run sent.

    An archive may come from a stranger: this way it sends no other file of this machine anywhere.

    Args:
        rerun: The archive.
        paths: As in its specification.
    """
    recorded = recorded_inputs(rerun.archive.files)
    for path in paths:
        facts = recorded.get(path)
        if facts is None or facts.is_output or facts.is_script or facts.sha256 != _digest(path, rerun):
            raise EnvironmentLacks(
                f"{path} is outside the folder {rerun.base_dir}, and it is not the file that the run in "
                f"{rerun.archive.path} sent",
                hint="an archive may send such a file only unchanged: put the same file there, or extract "
                f"the specification with `runner archive extract {rerun.archive.path} FOLDER` and run that",
            )


def conclude(rerun: Rerun, results: Results, folder: Path, archive: Path | None) -> ReproductionResults:
    """Compare the new run with the archive, and write the comparison into the new run's folder.

    Args:
        rerun: The archive.
        results: Of the new run.
        folder: The new run's.
        archive: The new run's archive, None if there is none.

    Raises:
        OutputError: The comparison cannot be written.
    """
    files = rerun.archive.files
    now = read_archive(archive).files if archive else None
    compared = reproduction(
        rerun.results,
        results,
        differs=surroundings(files, now) if now else surroundings_now(files),
        identity=rerun.archive.sha256,
    )
    RunFolder(folder).write(f"{REPRODUCTION}.json", json_file(compared))
    RunFolder(folder).write(f"{REPRODUCTION}.md", render_reproduction(compared).encode())
    return compared


def _changed_builds(spec: Experiment, rerun: Rerun) -> Iterator[SideBySide]:
    """Yield the build folders whose content has changed."""
    locked = _lock(rerun.archive.files)
    systems = locked.configurations if locked else {}
    for configuration in spec.configurations:
        system = systems.get(configuration.name)
        for part, folder in configuration.topology.build_folders.items():
            if system is None:
                continue
            before = _locked_content(system, part)
            now = content_digest(_folder(folder, rerun, part))
            if before != now:
                what = "build.content" if part == Role.APP else f"{part}.build.content"
                yield SideBySide(f"{configuration.name}.{what}", harmless(before or "–"), now)


def _locked_content(system: LockedSystem, part: str) -> str | None:
    """Return the digest of the folder that a part's image was built from."""
    if part == Role.APP:
        return system.build.content if system.build else None
    service = (system.services or {}).get(part)
    return service.build.content if service and service.build else None


def _changed_mounts(spec: Experiment, rerun: Rerun) -> Iterator[SideBySide]:
    """Yield the files that are mounted into services and whose content has changed."""
    locked = _lock(rerun.archive.files)
    systems = locked.configurations if locked else {}
    for configuration in spec.configurations:
        system = systems.get(configuration.name)
        for name, service in ((system and system.services) or {}).items():
            for path, before in service.files.items():
                now = _mounted(path, name, rerun)
                if before != now:
                    yield SideBySide(harmless(f"{configuration.name}.{name}: {path}"), harmless(before), now)


def _mounted(path: str, service: str, rerun: Rerun) -> str:
    if is_outside(path, rerun.base_dir):
        return "–"
    try:
        return mount_digest(rerun.base_dir / path)
    except EnvironmentLacks as error:
        raise EnvironmentLacks(f"topology.services.{service}.files: {error.message}", hint=_HINT) from None


def _changed_files(rerun: Rerun, commands_in: Path) -> Iterator[SideBySide]:
    """Yield the files of the folder that requests send or hooks run, and whose content has changed."""
    for path, facts in recorded_inputs(rerun.archive.files).items():
        if facts.is_output or (not facts.is_script and is_outside(path, rerun.base_dir)):
            continue  # its command runs again, or `check_files_outside` compares it
        now = _script_digest(path, commands_in) if facts.is_script else _digest(path, rerun)
        if facts.sha256 != now:
            yield SideBySide(harmless(path), harmless(facts.sha256), now)


def _script_digest(path: str, commands_in: Path) -> str:
    """Return the digest of a script of a hook, or that there is none: the hook itself says what is wrong."""
    try:
        return "outside the folder" if is_outside(path, commands_in) else file_digest(path, commands_in)
    except EnvironmentLacks:
        return "there is no such file"


def _digest(path: str, rerun: Rerun) -> str:
    try:
        return file_digest(path, rerun.base_dir)
    except EnvironmentLacks as error:
        hint = (
            f"small files are in the archive: extract it with `runner archive extract {rerun.archive.path} "
            "FOLDER`, and give the folder of the specification with --base-dir"
        )
        raise EnvironmentLacks(error.message, hint=hint) from None


def _folder(build: str, rerun: Rerun, part: str) -> Path:
    try:
        return find_folder(build, rerun.base_dir, part if part == Role.APP else f"services.{part}")
    except EnvironmentLacks as error:
        raise EnvironmentLacks(error.message, hint=_HINT, details=error.details) from None
