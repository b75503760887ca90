"""Reads and writes results.json; reads those of this version and older ones, and trusts none of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

import msgspec

from runner.core.codes import Validity
from runner.core.errors import StoredRunError
from runner.core.results import Results
from runner.core.stage_results import Stage
from runner.core.units import BYTES_PER_MIB, Bytes
from runner.experiment.suggestions import harmless
from runner.store.bounded_read import NotFound, NotReadable, read_bounded
from runner.store.json_text import readable
from runner.store.results_upgrade import upgraded
from runner.store.unfinished import is_unfinished, unfinished

SCHEMA_VERSION: Final = 1
_FILE: Final = "results.json"
_JOURNAL: Final = "journal.ndjson"
_MAX_BYTES: Final[Bytes] = 64 * BYTES_PER_MIB
_MAX_CONTRADICTIONS: Final = 8
_MAX_DETAIL: Final = 200

_EXPECTED: Final = (
    (re.compile(r"Expected `str` matching regex .*"), "it contains characters that are not allowed here"),
    (re.compile(r"Expected `str` of length <= \d+"), "the text is too long"),
    (re.compile(r"Invalid enum value .*", re.DOTALL), "it is not one of the known values"),
    (re.compile(r"Expected `(.+?)`, got `(.+?)`"), r"expected \1, got \2"),
    (re.compile(r"Object missing required field `(\w+)`"), r"\1 is missing"),
)
"""msgspec's messages in our words, without the text of the file."""

_decoder: Final = msgspec.json.Decoder(Results)


def read_results(path: Path) -> Results:
    """Return the results of a run.

    Args:
        path: The run's folder, or the file itself.

    Raises:
        StoredRunError: There are none, or they are partial, damaged, newer, edited, or of before the run was
            resumed.
    """
    file = path / _FILE if path.is_dir() else path
    if file.name == _FILE and is_unfinished(file.parent) and file.exists():
        raise unfinished(file.parent)
    return parse_results(_content(path, file), file)


def parse_results(content: bytes, file: Path) -> Results:
    """Return the results that a file contains.

    Args:
        content: Of the file.
        file: Its name, for messages.

    Raises:
        StoredRunError: They are partial, damaged, newer or edited.
    """
    results = _decode(content, file)
    _check_version(file, results.schema_version)
    if contradictions := _contradictions(results):
        raise _malformed(file, *contradictions)
    return results


def encode_results(results: Results) -> bytes:
    """Return the content of results.json."""
    text = json.dumps(msgspec.to_builtins(results), indent=1, ensure_ascii=False, allow_nan=False)
    return readable(text).encode() + b"\n"


def _decode(content: bytes, file: Path) -> Results:
    """Decode a file of this version, or of an older one after adding the keys that it did not write."""
    try:
        return _decoder.decode(content)
    except (ValueError, RecursionError):
        document = _parse(content, file)
    if not isinstance(document, dict):
        raise StoredRunError(f"{file} is no run: an object was expected")
    _check_version(file, document.get("schema_version"))
    try:
        return msgspec.convert(upgraded(document), Results)
    except ValueError as error:
        raise _malformed(file, _place_first(str(error))) from None


def _place_first(message: str) -> str:
    """Turn msgspec's "what - at `$.path`" into "path: what"."""
    what, _, place = message.rpartition(" - at `")
    if not what:
        what, place = message, ""
    for pattern, words in _EXPECTED:
        what = pattern.sub(words, what)
    place = place.removesuffix("`").replace("key` in `", "a key in ").replace("$.", "").removeprefix("$")
    return harmless((f"{place}: {what}" if place else what)[:_MAX_DETAIL])


def _malformed(file: Path, *details: str) -> StoredRunError:
    return StoredRunError(
        f"{file} does not contain the results of a run",
        hint="it was edited, or written by another program; run the experiment again",
        details=details,
    )


def _contradictions(results: Results) -> list[str]:
    """Return what no run writes although every single value is allowed by its type."""
    return [
        harmless(f"configurations[{i}].stages[{k}].{what}")
        for i, configuration in enumerate(results.configurations)
        for k, stage in enumerate(configuration.stages)
        for what in _contradictions_of(stage)
    ][:_MAX_CONTRADICTIONS]


def _contradictions_of(stage: Stage) -> Iterator[str]:
    if stage.validity.status is Validity.INVALID and not stage.validity.reasons:
        yield "validity: it is invalid without a reason"
    rates = {"target_rps": stage.target_rps, "actual_rps": stage.actual_rps}
    yield from (f"{name}: it is negative" for name, rate in rates.items() if rate is not None and rate < 0)


def _content(path: Path, file: Path) -> bytes:
    try:
        return read_bounded(file, _MAX_BYTES, "the results of a run")
    except NotFound:
        _missing(path, file)
    except NotReadable as error:
        raise StoredRunError(str(error)) from None


def _missing(path: Path, file: Path) -> NoReturn:
    if not path.exists():
        raise StoredRunError(
            f"there is no run at {path}",
            hint="give the folder that `runner execute` wrote, such as reports/NAME/TIME",
        )
    if (path / _JOURNAL).is_file():
        raise unfinished(path)
    raise StoredRunError(
        f"{path} is no run folder: there is no {file.name} in it",
        hint="give the folder that `runner execute` wrote, such as reports/NAME/TIME",
    )


def _parse(content: bytes, file: Path) -> Any:
    """Return JSON of any content; msgspec refuses lone surrogates, which the standard library accepts."""
    try:
        content.decode("utf-8")
        return msgspec.json.decode(content)
    except RecursionError:
        raise StoredRunError(f"{file} is nested too deeply for the results of a run") from None
    except UnicodeDecodeError:
        raise StoredRunError(f"{file} is not UTF-8 text") from None
    except ValueError as error:
        raise StoredRunError(
            f"{file} cannot be read: {_fault(content) or str(error).partition(' - at ')[0]}",
            hint="the file was truncated or edited" if file.name == _FILE else "give the folder of a run",
        ) from None


def _fault(content: bytes) -> str:
    """Return what is wrong with JSON and where, empty where the standard library does not know."""
    try:
        json.loads(content, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        return f"{error.msg} in line {error.lineno}, column {error.colno}"
    except _NotANumberError as error:
        return str(error)
    except (ValueError, RecursionError):
        return ""
    return ""


class _NotANumberError(ValueError):
    """JSON has no NaN and no infinity."""


def _refuse(constant: str) -> NoReturn:
    raise _NotANumberError(f"{constant} is no number")


def _check_version(file: Path, version: object) -> None:
    if version is not None and (not isinstance(version, int) or isinstance(version, bool) or version < 1):
        raise StoredRunError(
            f"{file} does not contain the results of a run: its schema_version is no whole number from 1 on",
            hint="it was edited, or written by another program",
        )
    if version is None:
        raise StoredRunError(
            f"{file} does not contain the results of a run: it has no schema_version",
            hint="give the folder of a run",
        )
    if version > SCHEMA_VERSION:
        raise StoredRunError(
            f"{file} was written by a newer version of Loadproof "
            f"(schema version {version}; this version reads up to {SCHEMA_VERSION})",
            hint="update Loadproof and try again",
        )
