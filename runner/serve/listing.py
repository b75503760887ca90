"""Which runs a list shows: filtered, sorted and divided into pages, by the parameters of an address."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from runner.store.run_before import has_other_specification
from runner.store.run_summary import RunSummary

PAGE_SIZE: Final = 100
_MAX_TEXT: Final = 200
_MAX_PAGE: Final = 100_000
_SAME_RATE: Final = 0.05
"""Rates of two runs that differ by no more have latencies that can be compared."""
_VALID: Final = frozenset({"", "valid"})
_Number = Callable[[RunSummary], float | None]

_NUMBERS: Final[dict[str, _Number]] = {
    "rate": lambda run: run.rate,
    "p95": lambda run: run.p95_ms,
    "errors": lambda run: run.error_share,
    "thresholds": lambda run: run.thresholds_failed if run.thresholds else None,
    "duration": lambda run: run.duration_s,
}
_TEXTS: Final[dict[str, Callable[[RunSummary], str]]] = {
    "started": lambda run: run.started_at,
    "experiment": lambda run: run.experiment.casefold(),
    "verdict": lambda run: run.verdict or run.state,
}
SORTS: Final = (*_TEXTS, *_NUMBERS)
DEFAULT_SORT: Final = "started"


@dataclass(frozen=True, slots=True)
class Query:
    """What a list is asked for.

    Attributes:
        text: Words that a run's experiment, title, verdict, state or path contains, all of them.
        experiment: Its exact name; empty for all.
        verdict: A verdict or a state; empty for all.
        sort: One of `SORTS`.
        descending: The greatest first; what has no value is always last.
        page: From 1.
    """

    text: str = ""
    experiment: str = ""
    verdict: str = ""
    sort: str = DEFAULT_SORT
    descending: bool = True
    page: int = 1

    def address(self, **changes: Any) -> str:
        """Return the address of the list with some parameters changed; the page is the first unless given."""
        query = replace(self, **({"page": 1} | changes))
        order = "" if query.descending else "up"
        values = {
            "q": query.text,
            "experiment": query.experiment,
            "verdict": query.verdict,
            "sort": "" if query.sort == DEFAULT_SORT else query.sort,
            "order": order,
            "page": "" if query.page == 1 else query.page,
        }
        text = urlencode({key: value for key, value in values.items() if value}, errors="replace")
        return f"/?{text}" if text else "/"

    def sorted_by(self, sort: str) -> str:
        """Return the address of the list sorted by a column; by the same one again, the other way round."""
        descending = (
            not self.descending if sort == self.sort else sort not in {"experiment", "verdict", "p95"}
        )
        return self.address(sort=sort, descending=descending)


@dataclass(frozen=True, slots=True)
class Row:
    """A run in the list.

    Attributes:
        run: What is known of it.
        rate_change: Relative to the run before it of the same experiment, on a machine of one kind; None
            without one.
        p95_change: Likewise; None also where the rates differ, because a lower rate has a lower p95.
        is_doubtful: Whether one of the two is not valid, or their specifications differ, so that a change
            is neither better nor worse.
        is_of_other_specification: Whether the run before it had another specification.
    """

    run: RunSummary
    rate_change: float | None = None
    p95_change: float | None = None
    is_doubtful: bool = False
    is_of_other_specification: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of a list.

    Attributes:
        rows: In the order to show them.
        total: How many runs pass the filter.
        pages: How many pages they have, at least 1.
        page: Which one this is.
    """

    rows: tuple[Row, ...]
    total: int
    pages: int
    page: int


def query_of(parameters: Mapping[str, str]) -> Query:
    """Return the query in an address; what is not understood counts as not there."""
    sort = parameters.get("sort", DEFAULT_SORT)
    page = parameters.get("page", "1")
    is_page = page.isascii() and page.isdecimal() and len(page) < len(str(_MAX_PAGE))
    return Query(
        text=parameters.get("q", "")[:_MAX_TEXT].strip(),
        experiment=parameters.get("experiment", "")[:_MAX_TEXT],
        verdict=parameters.get("verdict", "")[:_MAX_TEXT],
        sort=sort if sort in SORTS else DEFAULT_SORT,
        descending=parameters.get("order") != "up",
        page=max(int(page), 1) if is_page else 1,
    )


def listing(runs: Sequence[RunSummary], query: Query, before: Mapping[str, RunSummary]) -> Listing:
    """Return a page of runs.

    Args:
        runs: All, newest first.
        query: Which of them, and in which order.
        before: As `runner.store.run_before` returns it.
    """
    passing = [run for run in runs if _passes(run, query)]
    ordered = _sorted(passing, query)
    pages = -(-len(ordered) // PAGE_SIZE) or 1
    page = min(query.page, pages)
    shown = ordered[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    return Listing(tuple(row(run, before.get(run.path)) for run in shown), len(ordered), pages, page)


def row(run: RunSummary, before: RunSummary | None) -> Row:
    """Return the row of a run beside the one before it."""
    if before is None:
        return Row(run)
    is_alike = before.is_sustained == run.is_sustained
    rate = _change(before.rate, run.rate) if is_alike else None
    at_same_rate = rate is not None and abs(rate) <= _SAME_RATE
    p95 = _change(before.p95_ms, run.p95_ms) if at_same_rate else None
    is_other = has_other_specification(run, before)
    is_doubtful = is_other or not {run.validity, before.validity} <= _VALID
    return Row(run, rate, p95, is_doubtful, is_other)


def _passes(run: RunSummary, query: Query) -> bool:
    if query.experiment and run.experiment != query.experiment:
        return False
    if query.verdict and query.verdict not in {run.verdict, run.state}:
        return False
    if not query.text:
        return True
    text = f"{run.experiment} {run.title} {run.verdict} {run.state} {run.path} {run.started_at}".casefold()
    return all(word in text for word in query.text.casefold().split())


def _sorted(runs: Sequence[RunSummary], query: Query) -> list[RunSummary]:
    if (text := _TEXTS.get(query.sort)) is not None:
        return sorted(runs, key=text, reverse=query.descending)
    number = _NUMBERS[query.sort]
    known = [run for run in runs if number(run) is not None]
    unknown = [run for run in runs if number(run) is None]
    return sorted(known, key=lambda run: number(run) or 0.0, reverse=query.descending) + unknown


def _change(before: float | None, after: float | None) -> float | None:
    return (after - before) / before if before and after is not None else None
