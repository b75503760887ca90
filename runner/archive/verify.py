"""Checks that an archive's numbers follow from its own data: generates everything again that can be.

Two kinds of difference are distinguished. A number that does not follow from the journal is wrong,
whichever version wrote it. A verdict, a sentence or a page may differ because the rules have changed
since; if the same code wrote it, that is wrong as well.

Stored results are compared as JSON trees, key by key, so that a changed type or an added key is detected.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias

from msgspec import inspect

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
from runner.core.codes import Limit, Validity
from runner.core.errors import ArchiveDamaged, SpecificationError
from runner.core.results import (
    CrossCheck,
    Hypothesis,
    Knee,
    Repeats,
    Results,
    Scaling,
    StageValidity,
    Verdict,
)
from runner.experiment.load import read_spec
from runner.experiment.suggestions import harmless
from runner.report.charts.render import charts
from runner.report.markdown import render_markdown
from runner.store.reanalyze import reanalyze_files
from runner.store.rendered_files import MARKDOWN
from runner.store.results_file import encode_results
from runner.store.run_file import RUN, parse_run_file

_REQUIRED: Final = (*NEEDED, *DERIVED)
_WRITTEN: Final = (*_REQUIRED, *KEPT, *SHOWN, MANIFEST)
_JSON_OBJECTS: Final = (BEFORE, AFTER, GIT, SOFTWARE, CRATE)
"""Files that contain one JSON object each, which nothing else checks."""
_SCHEMA_VERSION: Final = 1
_MAX_LINES: Final = 50
_MAX_VALUE: Final = 60
_CHARTS: Final = "charts/"

_CONCLUSIONS: Final = (
    Verdict, Limit, StageValidity, Validity, Hypothesis, Repeats, CrossCheck, Scaling, Knee,
)  # fmt: skip
"""Types of results that are a version's conclusions, as opposed to measurements; so is every `Sentence`."""

Place: TypeAlias = tuple[str | int, ...]
"""Keys and indices from the top of results.json."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of computing an archive's numbers again.

    Attributes:
        wrong: One sentence for each number that does not follow from the data.
        explained: One sentence for each difference that other rules explain; wrong too, if the same code
            wrote the archive.
    """

    wrong: tuple[str, ...] = ()
    explained: tuple[str, ...] = ()


def verify(files: Mapping[str, bytes], where: str) -> Verified:
    """Return what in these files does not follow from the journal.

    Args:
        files: Of an archive whose manifest was checked already.
        where: The archive's name, for messages.

    Raises:
        ArchiveDamaged: A file is missing, malformed, or one that no run writes.
        StoredRunError: The journal is damaged.
    """
    _check_files(files, where)
    try:
        stored = json.loads(files[RESULTS])
        results = reanalyze_files(files, where=f"{where}: ")
    except ValueError as error:
        why = str(error).partition(";")[0]
        raise ArchiveDamaged(f"{where}: {RESULTS} is no JSON ({why})") from None
    except SpecificationError as error:
        raise ArchiveDamaged(f"{where}: {error.message}", details=error.problems) from None
    wrong: list[str] = [*_unlike_resolved(files)]
    explained: list[str] = []
    for difference in _differences(stored, json.loads(encode_results(results)), ()):
        allowed = not difference.both_have_it or _is_conclusion(difference.place)
        (explained if allowed else wrong).append(f"{RESULTS}: {_shown(difference.place)} {difference.words}")
    if not wrong and not explained and files[RESULTS] != encode_results(results):
        explained.append(f"{RESULTS}: the numbers are the same, but the format is not that of a run")
    if not wrong:
        for name in _differing_files(files, results, where):
            line = f"{name} is not what the archive's own data give"
            (wrong if name == HISTOGRAMS else explained).append(line)
    return Verified(_shortened(wrong), _shortened(explained))


def _shortened(lines: list[str]) -> tuple[str, ...]:
    return (
        *map(harmless, lines[:_MAX_LINES]),
        *([f"... and {len(lines) - _MAX_LINES} more"] if len(lines) > _MAX_LINES else []),
    )


class _Difference(NamedTuple):
    place: Place
    words: str
    both_have_it: bool = True


def _differences(stored: Any, expected: Any, place: Place) -> Iterator[_Difference]:
    """Yield every place where two JSON trees differ."""
    if isinstance(stored, dict) and isinstance(expected, dict):
        for key in dict.fromkeys([*stored, *expected]):
            inner = (*place, key)
            if key not in expected:
                words = f"is {_short(stored[key])}, which does not follow from the data"
                yield _Difference(inner, words, both_have_it=False)
            elif key not in stored:
                words = f"is missing; the data give {_short(expected[key])}"
                yield _Difference(inner, words, both_have_it=False)
            else:
                yield from _differences(stored[key], expected[key], inner)
    elif isinstance(stored, list) and isinstance(expected, list) and len(stored) == len(expected):
        for at, (one, other) in enumerate(zip(stored, expected, strict=True)):
            yield from _differences(one, other, (*place, at))
    elif type(stored) is not type(expected) or stored != expected:
        yield _Difference(place, f"is {_short(stored)}, but the data give {_short(expected)}")


def _shown(place: Place) -> str:
    """Return a place as ``configurations[0].stages[1].name``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).lstrip(".")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_VALUE else text[: _MAX_VALUE - 3] + "..."


def _is_conclusion(place: Place) -> bool:
    """Whether a place is inside a conclusion."""
    steps = tuple(0 if isinstance(step, int) else step for step in place)
    return any(steps[: len(start)] == start for start in _conclusions())


@cache
def _conclusions() -> frozenset[Place]:
    """Return where conclusions begin in results.json, with 0 for any index; taken from the types."""
    return frozenset(_inside(inspect.type_info(Results), ()))


def _inside(kind: inspect.Type, place: Place) -> Iterator[Place]:
    match kind:
        case inspect.StructType(cls=cls) | inspect.EnumType(cls=cls) if cls in _CONCLUSIONS:
            yield place
        case inspect.Metadata(extra=extra) if extra and extra.get("prose"):
            yield place
        case inspect.Metadata(type=inner):
            yield from _inside(inner, place)
        case inspect.UnionType(types=types):
            for inner in types:
                yield from _inside(inner, place)
        case inspect.VarTupleType(item_type=inner):
            yield from _inside(inner, (*place, 0))
        case inspect.StructType(fields=fields):
            for field in fields:
                yield from _inside(field.type, (*place, field.encode_name))


def _differing_files(files: Mapping[str, bytes], results: Results, where: str) -> Iterator[str]:
    """Yield the names of files that are generated from the others and come out differently now."""
    others = {name: content for name, content in files.items() if name not in {*DERIVED, MANIFEST}}
    expected = derived(others, results, f"{where}: ")
    if MARKDOWN in files:
        pictures = {
            chart.name: (chart.alt,)
            for chart in charts(results)
            if f"{_CHARTS}{chart.name}-light.svg" in files
        }
        expected[MARKDOWN] = render_markdown(results, pictures=pictures).encode()
    yield from (name for name, content in expected.items() if name in files and files[name] != content)


def _check_files(files: Mapping[str, bytes], where: str) -> None:
    """Raise ArchiveDamaged unless every required file is present, and none that no run writes."""
    if missing := [name for name in _REQUIRED if name not in files]:
        raise ArchiveDamaged(f"{where}: {', '.join(missing)} is missing", hint="the archive is incomplete")
    if unknown := sorted(name for name in files if not _is_written(name)):
        raise ArchiveDamaged(
            f"{where}: no run writes {', '.join(map(harmless, unknown[:3]))}", hint="do not trust it"
        )
    for name in _JSON_OBJECTS:
        if name in files:
            _check_json_object(files[name], f"{where}: {name}")


def _is_written(name: str) -> bool:
    """Whether a run writes a file of this name; an asterisk does not match a slash."""
    return any(name.count("/") == pattern.count("/") and fnmatchcase(name, pattern) for pattern in _WRITTEN)


def _check_json_object(content: bytes, where: str) -> None:
    """Raise ArchiveDamaged unless this is a JSON object, and not one of a newer version."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise ArchiveDamaged(f"{where} is no JSON", hint="do not trust it") from None
    if not isinstance(document, dict):
        raise ArchiveDamaged(f"{where} is no JSON object", hint="do not trust it")
    version = document.get("schema_version", _SCHEMA_VERSION)
    if not isinstance(version, int) or version > _SCHEMA_VERSION:
        raise ArchiveDamaged(
            f"{where} was written by a newer version of Loadproof (schema version {harmless(str(version))})",
            hint="update Loadproof and try again",
        )


def _unlike_resolved(files: Mapping[str, bytes]) -> Iterator[str]:
    """Yield a sentence if the resolved specification, with its matrix expanded, differs from the given."""
    overrides = parse_run_file(files[RUN], RUN).run.overrides
    given = read_spec(files[SPEC], source=SPEC, overrides=overrides)
    try:
        resolved = read_spec(files[RESOLVED], source=RESOLVED)
    except SpecificationError:
        resolved = None
    if resolved != given.model_copy(update={"matrix": {}}):
        yield f"{RESOLVED} is another experiment than {SPEC} with its overrides"
