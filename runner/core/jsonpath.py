"""JSONPath (RFC 9535) of the values that a check reads in a response.

Most paths consist of names and indices alone; those are followed directly. The library, which takes 50 ms to
import, is needed only for the others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

MAX_NODES: Final = 10_000
"""How many values a path may select."""
MAX_VISITS: Final = 20_000
"""How many values the filters of a path may look at, which takes about a tenth of a second; wildcards and
``..`` may look at `_CHEAPER` times as many."""
_CHEAPER: Final = 5
_FILTERED: Final = MAX_VISITS // 2
"""How many entries a usual filter may look at: it reads a value or two of each."""
MAX_SELECTORS: Final = 100
"""How many combinations the selectors in all brackets of a path may have, such as 4 of ``['a','b'][0,1]``."""

Steps: TypeAlias = tuple[str | int, ...]

_STEP: Final = re.compile(
    r"\.(?P<name>[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)"
    r"|\['(?P<single>[^'\\\x00-\x1f]*)'\]"
    r'|\["(?P<double>[^"\\\x00-\x1f]*)"\]'
    r"|\[(?P<index>0|-?[1-9][0-9]{0,14})\]"
)
_INNER: Final = ("segments", "selectors", "expression", "left", "right", "query", "args")
"""Attributes of the library's classes that hold parts of a query."""


def steps_of(path: str) -> Steps | None:
    """Return the names and indices of a path that has nothing else; None for any other text."""
    if not path.startswith("$"):
        return None
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            return None
        value = step[step.lastgroup or 0]
        steps.append(int(value) if step.lastgroup == "index" else value)
        at = step.end()
    return tuple(steps)


def check(path: str) -> None:
    """Return if a text is a JSONPath that can be followed in bounded time.

    Raises:
        ValueError: It is not; says why.
    """
    if steps_of(path) is None:
        _compiled(path)


def select(path: str, steps: Steps | None, document: Any) -> list[Any]:
    """Return the values that a path selects.

    Args:
        path: A path that `check` accepts.
        steps: What `steps_of` returns for it.
        document: A decoded JSON document.

    Raises:
        ValueError: It selects more than `MAX_NODES` values, looks at more than `MAX_VISITS` to find them, or
            the document is nested too deeply.
    """
    return _selected(path, document) if steps is None else _followed(steps, document)


def _followed(steps: Sequence[str | int], document: Any) -> list[Any]:
    for step in steps:
        if not _has(document, step):
            return []
        document = document[step]
    return [document]


def _has(document: Any, step: str | int) -> bool:
    if isinstance(step, str):
        return isinstance(document, dict) and step in document
    return isinstance(document, list) and -len(document) <= step < len(document)


def _selected(path: str, document: Any) -> list[Any]:
    from jsonpath_rfc9535 import JSONPathError  # noqa: PLC0415  (only such paths pay for it)

    values: list[Any] = []
    query, visits = _compiled(path)
    visits.left = MAX_VISITS * _CHEAPER
    try:
        for node in query.finditer(document):
            values.append(node.value)
            if len(values) > MAX_NODES:
                raise ValueError(f"{path} selects more than {MAX_NODES:,} values")
    except JSONPathError as error:
        raise ValueError(str(error)) from None
    except _TooManyVisits:
        message = (
            f"{path} looks at too many values in the body: a filter may look at about {_FILTERED:,} entries"
        )
        raise ValueError(f"{message}, a wildcard or '..' at {MAX_VISITS * _CHEAPER:,} values") from None
    return values


class _TooManyVisits(Exception):  # noqa: N818  (a fact about a document, not an error of ours)
    """A query has looked at as many values as it may."""


class _Visits:
    """Counts the values that a query looks at, in each of its selectors.

    Attributes:
        left: How many more it may look at.
    """

    def __init__(self) -> None:
        self.left = 0

    def spend(self, count: int) -> None:
        """Raise `_TooManyVisits` if there are not so many left."""
        self.left -= count
        if self.left < 0:
            raise _TooManyVisits


class _CountedSelector:
    """A selector of the library that counts the values that it is asked about and those that it selects."""

    def __init__(self, selector: Any, visits: _Visits) -> None:
        self._resolve, self._visits = selector.resolve, visits

    def resolve(self, node: Any) -> Iterator[Any]:
        """Yield the values that it selects."""
        spend = self._visits.spend
        spend(1)
        for selected in self._resolve(node):
            spend(1)
            yield selected


class _CountedExpression:
    """The condition of a filter, which counts the values that it is evaluated for."""

    def __init__(self, expression: Any, visits: _Visits) -> None:
        self._evaluate, self._visits = expression.evaluate, visits

    def evaluate(self, context: Any) -> Any:
        """Return whether the condition holds."""
        self._visits.spend(_CHEAPER)
        return self._evaluate(context)


def _count_visits(query: Any) -> _Visits:
    """Make a query count the values that it looks at."""
    visits = _Visits()
    for part in list(_parts(query)):
        if type(part).__name__ == "FilterSelector":
            part.expression = _CountedExpression(part.expression, visits)
        elif hasattr(part, "selectors"):
            part.selectors = tuple(_CountedSelector(selector, visits) for selector in part.selectors)
    return visits


@lru_cache(maxsize=1024)
def _compiled(path: str) -> tuple[Any, _Visits]:
    """Return the library's query, and what it may look at.

    Functions with regular expressions are missing on purpose: they backtrack, and a response could stop a
    worker. What would visit a document's values again for each of its values is refused for the same reason.
    """
    from jsonpath_rfc9535 import JSONPathEnvironment, JSONPathError  # noqa: PLC0415  (see `_selected`)

    environment = JSONPathEnvironment()
    for name in ("match", "search"):
        environment.function_extensions.pop(name, None)
    try:
        query = environment.compile(path)
    except (JSONPathError, RecursionError) as error:
        raise ValueError(str(error).partition(", line ")[0] or "it is nested too deeply") from None
    except (OverflowError, ValueError):
        raise ValueError("a number in it is too large") from None
    if str(query).count("..") > 1:
        raise ValueError("it has more than one '..'")
    _check_visits(query)
    return query, _count_visits(query)


def _check_visits(query: Any) -> None:
    """Return if the number of values that a query visits grows only in proportion to the document."""
    filters = [part for part in _parts(query) if type(part).__name__ == "FilterSelector"]
    for part in (part for selector in filters for part in _parts(selector.expression)):
        kind = type(part).__name__
        if kind == "FilterSelector":
            raise ValueError("it has a filter inside a filter")
        if kind == "RootFilterQuery":
            raise ValueError("it has a query from '$' inside a filter")
        if kind == "FloatLiteral" and not math.isfinite(part.value):
            raise ValueError("a number in it is too large")
    visits = math.prod(len(part.selectors) for part in _parts(query) if hasattr(part, "selectors"))
    if visits > MAX_SELECTORS:
        raise ValueError(f"its lists of selectors make more than {MAX_SELECTORS} combinations")


def _parts(node: Any) -> Iterator[Any]:
    """Yield all parts of a query or an expression of the library, itself included, in no particular order."""
    rest = [node]
    while rest:
        part = rest.pop()
        yield part
        for name in _INNER:
            inner = getattr(part, name, ())
            rest += inner if isinstance(inner, list | tuple) else (inner,)
