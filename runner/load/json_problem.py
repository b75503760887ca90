"""Says why a body cannot be read as JSON, for the sample of a response."""

from __future__ import annotations

import re
from typing import Final

_BEYOND: Final = "a number in the body is beyond the range of 64-bit floating point"
_HALF: Final = re.compile(
    rb"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]", re.DOTALL
)
_SURROGATE: Final = "a text in the JSON of the body has half of a surrogate pair, which is no character"


def json_problem(body: bytes, error: Exception) -> str:
    """Return what is wrong with a body that msgspec refuses, as a clause.

    Args:
        body: Without its content coding.
        error: Raised when it was decoded.
    """
    message = str(error)
    if isinstance(error, RecursionError):
        problem = "the JSON in the body is nested too deeply"
    elif not body.strip():
        problem = "the body is empty"
    elif message.startswith("Number out of range"):
        problem = _BEYOND
    elif "surrogate" in message or ("truncated" in message and _HALF.search(body)):
        problem = _SURROGATE
    elif message.startswith("JSON is malformed"):
        problem = "the body is not JSON"
    else:
        cut_off = "truncated" in message
        problem = "the JSON in the body is cut off" if cut_off else f"the body is not JSON: {message}"
    return problem
