"""Checks that an archive's content follows from its own data: generates everything again that can be.

Two kinds of difference are distinguished. A number that does not follow from the journal is wrong,
whichever version wrote it. A verdict, a sentence or a page may differ because the rules have changed
since; if the same code wrote it, that is wrong as well. What nothing determines is named as not verified.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from runner.archive.files import DERIVED, HISTOGRAMS, RESOLVED, RESULTS, SPEC, derived
from runner.archive.manifest import MANIFEST
from runner.archive.tree_difference import Difference, summarized, tree_differences
from runner.archive.verify_charts import verify_charts
from runner.archive.verify_files import check_files, not_verified
from runner.archive.verify_journal import journal_differences, superseded_lines
from runner.core.definitions import DEFINITIONS, Redefinition, redefined_since
from runner.core.errors import ArchiveDamaged, SpecificationError
from runner.experiment.load import read_spec
from runner.experiment.suggestions import harmless
from runner.report.charts.render import charts
from runner.report.markdown import render_markdown
from runner.store.reanalyze import Reanalysis, reanalyze_files
from runner.store.results_file import encode_results
from runner.store.run_file import RUN, RunFile
from runner.store.run_names import MARKDOWN

_MAX_LINES: Final = 50
_MAX_EXPLAINED: Final = 20
_CHARTS: Final = "charts/"


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of deriving an archive's content again.

    Attributes:
        wrong: One sentence for each value that does not follow from the data.
        explained: One sentence for each kind of difference that other rules explain; wrong too, if the same
            code wrote the archive.
        unverified: What nothing in the archive determines, one phrase for each.
    """

    wrong: tuple[str, ...] = ()
    explained: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()


def verify(files: Mapping[str, bytes], where: str) -> Verified:
    """Return what in these files does not follow from the journal, and what could not be verified.

    Args:
        files: Of an archive whose manifest was checked already.
        where: The archive's name, for messages.

    Raises:
        ArchiveDamaged: A file is missing, malformed, or one that no run writes.
        StoredRunError: The journal is damaged.
    """
    check_files(files, where)
    try:
        stored = json.loads(files[RESULTS])
        run = reanalyze_files(files, where=f"{where}: ")
        found = [*_unlike_resolved(files, run.run_file), *_data_differences(files, stored, run)]
    except SpecificationError as error:
        raise ArchiveDamaged(f"{where}: {error.message}", details=error.problems) from None
    except ValueError as error:
        why = str(error).partition(";")[0]
        raise ArchiveDamaged(f"{where}: {RESULTS} is no JSON ({why})") from None
    charts_reason = ""
    if all(difference.explained for difference in found):
        of_charts, charts_reason = verify_charts(files, run.results)
        found += [*_file_differences(files, run, where), *of_charts]
    explained = [difference for difference in found if difference.explained and not difference.redefined]
    redefined = []
    if any(difference.redefined for difference in found):
        redefined = [f"{RESULTS}: {change.meaning}" for change in _redefined(stored)]
    return Verified(
        wrong=_listed([difference for difference in found if not difference.explained]),
        explained=tuple(map(harmless, summarized(explained, _MAX_EXPLAINED))),
        unverified=tuple(
            map(harmless, [*not_verified(files, superseded_lines(run), charts_reason), *redefined])
        ),
    )


def _redefined(stored: object) -> tuple[Redefinition, ...]:
    """Return what has another meaning in stored results; a version that is none is an error of its own."""
    version = stored.get("definitions", 1) if isinstance(stored, dict) else DEFINITIONS
    return redefined_since(version if isinstance(version, int) else DEFINITIONS)


def _listed(wrong: Sequence[Difference]) -> tuple[str, ...]:
    more = len(wrong) - _MAX_LINES
    lines = [harmless(difference.sentence) for difference in wrong[:_MAX_LINES]]
    return (*lines, *([f"... and {more} more"] if more > 0 else []))


def _data_differences(files: Mapping[str, bytes], stored: object, run: Reanalysis) -> Iterator[Difference]:
    """Yield what differs in results.json, in run.json and in the journal."""
    content = encode_results(run.results)
    redefined = _redefined(stored)
    expected = json.loads(content)
    if redefined and isinstance(stored, dict):
        expected["definitions"] = stored.setdefault("definitions", 1)
    differences = list(tree_differences(RESULTS, stored, expected, redefined))
    yield from differences
    if not differences and files[RESULTS] != content:
        yield Difference(RESULTS, f"{RESULTS}: the numbers are the same, but the format is not that of a run")
    if files[RUN] != run.run_file.to_json():
        yield Difference(RUN, f"{RUN} has a field, an order or a format that no run writes")
    yield from journal_differences(files["journal.ndjson"], run)


def _file_differences(files: Mapping[str, bytes], run: Reanalysis, where: str) -> Iterator[Difference]:
    """Yield the files that are generated from the others and come out differently now."""
    others = {name: content for name, content in files.items() if name not in {*DERIVED, MANIFEST}}
    expected = derived(others, run.results, f"{where}: ")
    if MARKDOWN in files:
        pictures = {
            chart.name: (chart.alt,)
            for chart in charts(run.results)
            if f"{_CHARTS}{chart.name}-light.svg" in files
        }
        expected[MARKDOWN] = render_markdown(run.results, pictures=pictures).encode()
    for name, content in expected.items():
        if name in files and files[name] != content:
            sentence = f"{name} is not what the archive's own data give"
            yield Difference(name, sentence, explained=name != HISTOGRAMS)


def _unlike_resolved(files: Mapping[str, bytes], run_file: RunFile) -> Iterator[Difference]:
    """Yield a difference if the resolved specification, with its matrix expanded, differs from the given."""
    given = read_spec(files[SPEC], source=SPEC, overrides=run_file.run.overrides)
    try:
        resolved = read_spec(files[RESOLVED], source=RESOLVED)
    except SpecificationError:
        resolved = None
    if resolved != given.model_copy(update={"matrix": {}}):
        sentence = f"{RESOLVED} is another experiment than {SPEC} with its overrides"
        yield Difference(RESOLVED, sentence, explained=False)
