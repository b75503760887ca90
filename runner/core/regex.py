"""Regular expressions in the syntax of RE2, which match in linear time whatever the text.

A backtracking engine can need years for one response. The library is imported only where an expression is
used.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any, Final

_MAX_MEMORY_BYTES: Final = 8 * 1024 * 1024


def compiled(pattern: str) -> Callable[[bytes], bool]:
    """Return a function that tells whether a pattern matches anywhere in UTF-8 text.

    Raises:
        ValueError: The pattern is no regular expression of RE2; says why.
    """
    search = _expression(pattern, capture=False).search
    return lambda text: search(text) is not None


def first_group(pattern: str, text: bytes) -> bytes | None:
    """Return what the first group of a pattern matches first in UTF-8 text; None if nothing matches.

    Of a pattern without groups, it is the whole match; of a group that takes no part in it, nothing.

    Raises:
        ValueError: The pattern is no regular expression of RE2.
    """
    expression = _expression(pattern, capture=True)
    match = expression.search(text)
    return match[1 if expression.groups else 0] if match else None


def group_finder(pattern: str) -> Callable[[bytes, int], list[bytes]]:
    """Return a function that returns what the first group of a pattern matches, wherever it does.

    Its arguments are the text and how many values are enough. The value is as of `first_group`.

    Raises:
        ValueError: The pattern is no regular expression of RE2.
    """
    expression = _expression(pattern, capture=True)
    group, find = 1 if expression.groups else 0, expression.finditer
    return lambda text, most: [match[group] or b"" for match in islice(find(text), most)]


def _expression(pattern: str, *, capture: bool) -> Any:
    import re2  # noqa: PLC0415  (only specifications with an expression pay for it)

    options = re2.Options()
    options.log_errors = False
    options.never_capture = not capture
    options.max_mem = _MAX_MEMORY_BYTES
    try:
        return re2.compile(pattern.encode(), options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        raise ValueError(reason.decode(errors="replace") if isinstance(reason, bytes) else reason) from None
