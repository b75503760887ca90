"""Takes values out of a response, for requests and commands that follow."""

from __future__ import annotations

import json
from typing import Any, Final

from runner.core import jsonpath, regex
from runner.core.rows import text_of
from runner.core.units import Bytes
from runner.experiment.extraction import Extraction
from runner.load.checks import decoded, header_fields
from runner.load.inputs import Constant
from runner.load.single_request import Received

MAX_VALUE: Final[Bytes] = 64 * 1024


def extract(source: Extraction, response: Received) -> Constant:
    """Return the value that stands somewhere in a response.

    Raises:
        ValueError: There is none that can be used; says why, as a clause.
    """
    value = _value(source, response)
    try:
        size = len(text_of(value).encode())
    except UnicodeEncodeError:
        raise ValueError("it is not text that UTF-8 can express") from None
    if "\0" in text_of(value):
        raise ValueError("it contains a NUL character")
    if size > MAX_VALUE:
        raise ValueError(f"it is longer than {MAX_VALUE // 1024} KiB")
    return value


def _value(source: Extraction, response: Received) -> Constant:
    fields = header_fields(response.head)
    if source.header is not None:
        if (header := fields.get(source.header.lower())) is None:
            raise ValueError(f"the response has no header {source.header}")
        return header
    body = response.body
    if coding := fields.get("content-encoding", ""):
        body = decoded(body, coding)
    return _in_json(source.json_path, body) if source.json_path is not None else _matched(source, body)


def _in_json(path: str, body: bytes) -> Constant:
    try:
        values = jsonpath.select(path, jsonpath.steps_of(path), json.loads(body))
    except RecursionError:
        raise ValueError("the JSON in the body is nested too deeply") from None
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise ValueError("the body is not JSON") from None
    if not values:
        raise ValueError(f"there is nothing at {path} in the body")
    return _single(path, values[0])


def _single(path: str, value: Any) -> Constant:
    if isinstance(value, str | int | float):  # True and False are int as well
        return value
    what = "null" if value is None else "an object or a list"
    raise ValueError(f"{path} is {what}, not a single value")


def _matched(source: Extraction, body: bytes) -> str:
    found = regex.first_group(source.regex or "", body)
    if found is None:
        raise ValueError("the regular expression matches nowhere in the body")
    try:
        return found.decode()
    except UnicodeDecodeError:
        raise ValueError("what the regular expression matches is not UTF-8") from None
