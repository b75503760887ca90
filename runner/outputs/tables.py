"""The tables that `runner report` prints for other programs, each as CSV and as newline-delimited JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from runner.core.errors import StoredRunError
from runner.core.facts import TrialFacts
from runner.core.results import Results
from runner.outputs.column import Column, csv_text, ndjson_text
from runner.outputs.histograms import HISTOGRAM_COLUMNS, buckets
from runner.outputs.place import Place
from runner.outputs.timeseries import moments
from runner.outputs.timeseries_columns import TIMESERIES_COLUMNS
from runner.store.reanalyze import FORGED

_Row = TypeVar("_Row")


def timeseries_csv(results: Results, trials: Sequence[TrialFacts]) -> str:
    """Return a row for each second of each part of the trials.

    Args:
        results: Of the run.
        trials: In its journal.

    Raises:
        StoredRunError: The data are not those of a run.
    """
    return _text(csv_text, TIMESERIES_COLUMNS, moments(_places(results, trials)))


def timeseries_ndjson(results: Results, trials: Sequence[TrialFacts]) -> str:
    """Return the rows of `timeseries_csv` as JSON objects; arguments and errors are the same."""
    return _text(ndjson_text, TIMESERIES_COLUMNS, moments(_places(results, trials)))


def histograms_csv(results: Results, trials: Sequence[TrialFacts]) -> str:
    """Return a row for each bucket of each histogram; arguments and errors as of `timeseries_csv`."""
    return _text(csv_text, HISTOGRAM_COLUMNS, buckets(_places(results, trials)))


def histograms_ndjson(results: Results, trials: Sequence[TrialFacts]) -> str:
    """Return the rows of `histograms_csv` as JSON objects; arguments and errors are the same."""
    return _text(ndjson_text, HISTOGRAM_COLUMNS, buckets(_places(results, trials)))


def _places(results: Results, trials: Sequence[TrialFacts]) -> list[Place]:
    return [Place(results.experiment.name, results.run.id, trial) for trial in trials]


def _text(
    render: Callable[[Sequence[Column[_Row]], Iterable[_Row]], str],
    columns: Sequence[Column[_Row]],
    rows: Iterable[_Row],
) -> str:
    try:
        return render(columns, rows)
    except FORGED as error:
        raise StoredRunError(
            f"the journal's data are not those of a run ({type(error).__name__} while making a table)",
            hint="do not trust it; run the experiment again",
        ) from None
