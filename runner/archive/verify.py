"""Whether an archive's numbers follow from its own data: everything that can be made again is made again.

Two kinds of difference are told apart. A number that does not follow from the journal is wrong,
whichever version wrote it. A verdict, a sentence or a page may read otherwise because the
rules have changed since; where the very same code wrote it, that is wrong as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from runner.archive.crate import CRATE
from runner.archive.files import (
    DERIVED,
    HISTOGRAMS,
    KEPT,
    NEEDED,
    RESOLVED,
    RESULTS,
    SHOWN,
    SPEC,
    derived,
)
from runner.archive.manifest import MANIFEST
from runner.archive.provenance import AFTER, BEFORE, GIT, SOFTWARE
from runner.core.errors import ArchiveDamaged, SpecificationError
from runner.experiment.load import read_spec
from runner.experiment.suggestions import harmless
from runner.report.charts.render import charts
from runner.report.markdown import render_markdown
from runner.store.reanalyze import recount_files
from runner.store.rendered_files import MARKDOWN
from runner.store.run_file import RUN, parse_begun

_NEEDED: Final = (*NEEDED, *DERIVED)
_WRITTEN: Final = (*_NEEDED, *KEPT, *SHOWN, MANIFEST)
_TOLD: Final = (BEFORE, AFTER, GIT, SOFTWARE, CRATE)
"""Files that are one JSON object each, and nothing else reads so closely."""
_SCHEMA_VERSION: Final = 1
_MOST: Final = 50
_CHARTS: Final = "charts/"


_OF_THE_RULES: Final = {
    "verdict", "validity", "hypothesis", "repeats", "cross_check", "scaling", "sentence", "why", "knee",
    "notes",
}  # fmt: skip
"""Keys of results.json below which stands what a version concludes, not what was measured."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of computing an archive's numbers again.

    Attributes:
        wrong: Numbers that do not follow from the data, a sentence each.
        otherwise: What this code makes read otherwise; wrong too, if the same code wrote the archive.
    """

    wrong: tuple[str, ...] = ()
    otherwise: tuple[str, ...] = ()


def verify(files: Mapping[str, bytes], where: str) -> Verified:
    """What in these files does not follow from the journal.

    Args:
        files: An archive's, held against its manifest already.
        where: The archive's name, for messages.

    Raises:
        ArchiveDamaged: A file is missing, is none, or is one that no run writes.
        StoredRunError: The journal is damaged.
    """
    _check_files(files, where)
    try:
        stored = json.loads(files[RESULTS])
        found = recount_files(files, where=f"{where}: ")
    except ValueError as error:
        why = str(error).partition(";")[0]
        raise ArchiveDamaged(f"{where}: {RESULTS} is no JSON ({why})") from None
    except SpecificationError as error:
        raise ArchiveDamaged(f"{where}: {error.message}", details=error.problems) from None
    wrong: list[str] = [*_unlike_resolved(files)]
    otherwise: list[str] = []
    for path, line, both in _differences(stored, found, ""):
        of_the_rules = not both or _OF_THE_RULES.intersection(re.split(r"[.\[]", path))
        (otherwise if of_the_rules else wrong).append(f"{RESULTS}: {path} {line}")
    if not wrong and not otherwise and files[RESULTS] != _as_written(found):
        otherwise.append(f"{RESULTS}: the same numbers, but not written as a run writes them")
    if not wrong:
        for name, line in _differing_files(files, found, where):
            (wrong if name == HISTOGRAMS else otherwise).append(f"{name} {line}")
    return Verified(_shortened(wrong), _shortened(otherwise))


def _shortened(lines: list[str]) -> tuple[str, ...]:
    return (
        *map(harmless, lines[:_MOST]),
        *([f"... and {len(lines) - _MOST} more"] if len(lines) > _MOST else []),
    )


def _as_written(results: Mapping[str, Any]) -> bytes:
    return json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _differences(stored: Any, found: Any, path: str) -> Iterator[tuple[str, str, bool]]:
    """Every place where the two differ: its path, a sentence, and whether both have it."""
    if isinstance(stored, dict) and isinstance(found, dict):
        for key in dict.fromkeys([*stored, *found]):
            place = f"{path}.{key}" if path else str(key)
            if key not in found:
                yield place, f"is {_short(stored[key])}, which does not follow from the data", False
            elif key not in stored:
                yield place, f"is missing; the data say {_short(found[key])}", False
            else:
                yield from _differences(stored[key], found[key], place)
    elif isinstance(stored, list) and isinstance(found, list) and len(stored) == len(found):
        for at, (one, other) in enumerate(zip(stored, found, strict=True)):
            yield from _differences(one, other, f"{path}[{at}]")
    elif type(stored) is not type(found) or stored != found:
        yield path, f"is {_short(stored)}, but the data say {_short(found)}", True


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _differing_files(
    files: Mapping[str, bytes], results: Mapping[str, Any], where: str
) -> Iterator[tuple[str, str]]:
    """Files that are made from the others, and are not what comes out now."""
    others = {name: content for name, content in files.items() if name not in {*DERIVED, MANIFEST}}
    expected = derived(others, f"{where}: ")
    if MARKDOWN in files:
        drawn = {
            chart.name: (chart.alt,)
            for chart in charts(results)
            if f"{_CHARTS}{chart.name}-light.svg" in files
        }
        expected[MARKDOWN] = render_markdown(results, pictures=drawn).encode()
    for name, content in expected.items():
        if name in files and files[name] != content:
            yield name, "is not what comes out of the archive's own data"


def _check_files(files: Mapping[str, bytes], where: str) -> None:
    """Raise ArchiveDamaged unless all that a run writes is there, nothing else is, and JSON is JSON."""
    if missing := [name for name in _NEEDED if name not in files]:
        raise ArchiveDamaged(f"{where}: {', '.join(missing)} is missing", hint="the archive is not whole")
    if strange := sorted(name for name in files if not _is_written(name)):
        raise ArchiveDamaged(
            f"{where}: no run writes {', '.join(map(harmless, strange[:3]))}", hint="do not trust it"
        )
    for name in _TOLD:
        if name in files:
            _check_told(files[name], f"{where}: {name}")


def _is_written(name: str) -> bool:
    """Whether a run writes a file of this name; a star stands for no slash."""
    return any(name.count("/") == each.count("/") and fnmatchcase(name, each) for each in _WRITTEN)


def _check_told(content: bytes, where: str) -> None:
    """Raise ArchiveDamaged unless this is a JSON object, and none of a newer version's."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise ArchiveDamaged(f"{where} is no JSON", hint="do not trust it") from None
    if not isinstance(found, dict):
        raise ArchiveDamaged(f"{where} is no JSON object", hint="do not trust it")
    version = found.get("schema_version", _SCHEMA_VERSION)
    if not isinstance(version, int) or version > _SCHEMA_VERSION:
        raise ArchiveDamaged(
            f"{where} was written by a newer Loadproof (schema version {harmless(str(version))})",
            hint="update Loadproof and try again",
        )


def _unlike_resolved(files: Mapping[str, bytes]) -> Iterator[str]:
    """Whether the resolved specification, in which a matrix is written out, says what the other does."""
    overrides = parse_begun(files[RUN], RUN).run.overrides
    asked = read_spec(files[SPEC], source=SPEC, overrides=overrides)
    try:
        resolved = read_spec(files[RESOLVED], source=RESOLVED)
    except SpecificationError:
        resolved = None
    if resolved != asked.model_copy(update={"matrix": {}}):
        yield f"{RESOLVED} is another experiment than {SPEC} with its overrides"
