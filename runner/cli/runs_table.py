"""The table of `runner runs`, as wide as the terminal allows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

from runner.cli.output import safe
from runner.report import number_format
from runner.store.run_summary import RunState, RunSummary

_GAP: Final = "  "
_HEADS: Final = ("STARTED", "EXPERIMENT", "VERDICT", "RATE", "P95 MS", "THRESHOLDS", "PATH")
_FEWEST: Final = 5
"""Columns; narrower terminals get a block a run."""
_RIGHT: Final = frozenset({"RATE", "P95 MS", "THRESHOLDS"})
_NONE: Final = "–"
_CHANGED: Final = "; specification changed"
_WIDEST: Final = 70
"""Characters of a verdict in a table."""
_NARROWEST: Final = 20
"""Columns; lines are not made shorter for a terminal that has fewer."""
_IN_PROGRESS: Final = "in progress"
"""As the list in the browser has it."""
_ABORTED: Final = RunState.ABORTED


class _Cells(NamedTuple):
    """The texts of a run's row, in the order of `_HEADS`."""

    started: str
    experiment: str
    verdict: str
    rate: str
    p95: str
    thresholds: str
    path: str


def lines(rows: Sequence[RunSummary], width: int, changed: Collection[str] = ()) -> Iterator[str]:
    """Yield a table with as many columns as there is room for, or a block a run on narrow terminals.

    Args:
        rows: The runs, in order.
        width: Columns of the terminal.
        changed: Paths of runs whose specification is not that of the run before.
    """
    whole = [_cells(run, is_changed=run.path in changed) for run in rows]
    cells = [row._replace(verdict=_cut(row.verdict)) if len(row.verdict) > _WIDEST else row for row in whole]
    widths = [max(map(len, column)) for column in zip(_HEADS, *cells, strict=True)]
    for columns in (len(_HEADS), len(_HEADS) - 1, _FEWEST):
        if sum(widths[:columns]) + len(_GAP) * (columns - 1) <= width:
            form = _GAP.join(map(_column, _HEADS[:columns], widths)).format
            yield from (form(*row).rstrip() for row in (_HEADS, *cells))
            return
    for row in whole:
        yield from _block(row, width)


def _column(head: str, width: int) -> str:
    return f"{{:{'>' if head in _RIGHT else '<'}{width}}}"


def _block(row: _Cells, width: int) -> Iterator[str]:
    """Yield a run over several lines, none of them wider than the terminal unless a word is."""
    import textwrap

    yield row.path if row.experiment == _NONE else row.experiment
    texts = [row.started, row.verdict]
    if row.rate != _NONE:
        texts.append(f"{row.rate}, p95 {row.p95} ms, thresholds: {row.thresholds}")
    for text in filter(None, texts):
        yield from textwrap.wrap(
            text,
            max(width, _NARROWEST),
            initial_indent="  ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )


def _cut(text: str) -> str:
    """Return a text that is not longer than a column of a table may be; what is cut ends with an ellipsis."""
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1].rstrip()}…"


def _cells(run: RunSummary, *, is_changed: bool) -> _Cells:
    """Return the texts of a run's row, each as a terminal shows it."""
    rate = _NONE
    if run.rate is not None:
        rate = f"{'' if run.is_sustained else '~'}{number_format.rate(run.rate)} {run.unit}"
    cells = _Cells(
        _moment(run.started_at),
        run.experiment or _NONE,
        f"{_verdict(run)}{_CHANGED if is_changed else ''}",
        rate,
        _NONE if run.p95_ms is None else number_format.ms(run.p95_ms),
        run.thresholds_text or _NONE,
        run.path or ".",
    )
    return cells if "".join(cells).isprintable() else _Cells(*map(safe, cells))


def _verdict(run: RunSummary) -> str:
    """Return the verdict, and what makes it doubtful; of what has none, what it is and why."""
    if not run.is_measured:
        state = _IN_PROGRESS if run.state is RunState.RUNNING else run.state.value
        return f"{state}: {run.problem}" if run.problem else state
    doubts = [run.validity] if run.validity not in {"", "valid"} else []
    doubts += [run.state] if run.state is _ABORTED else []
    doubts += [f"{number_format.share(run.cut_off_share)} unfinished"] if run.cut_off_share else []
    verdict = run.verdict or "nothing measured"
    return f"{verdict} ({', '.join(doubts)})" if doubts else verdict


def _moment(started_at: str) -> str:
    """Return a row's time to the minute; to read it as a time takes as long as the rest of the row."""
    return started_at[:16].replace("T", " ")
