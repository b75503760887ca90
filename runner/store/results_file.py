"""Reads results.json back, from this version, an older one or a stranger, and says what is wrong with it."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any, Final, NoReturn

from runner.core.errors import StoredRunError
from runner.store.shape import Each, Leaf, Many, Record, Shape, misfits

SCHEMA_VERSION: Final = 1
_FILE: Final = "results.json"
_JOURNAL: Final = "journal.ndjson"
_MOST_BYTES: Final = 64 * 1024 * 1024
_SHOWN: Final = 8

_TEXT, _TEXT_OR_NULL = Leaf("text"), Leaf("text", null=True)
_WORD, _PLAIN, _FLAG, _ANY = Leaf("word"), Leaf("plain"), Leaf("flag"), Leaf("any", null=True)
_NUMBER, _NUMBER_OR_NULL = Leaf("number"), Leaf("number", null=True)

_LATENCY = Record(dict.fromkeys(("mean", "p50", "p90", "p95", "p99", "p999", "max"), _NUMBER_OR_NULL))
_USAGE = Record({"avg": _NUMBER, "peak": _NUMBER_OR_NULL}, null=True)
_FINDING = Record(
    {
        "code": _WORD,
        "confidence": _WORD,
        "summary": _TEXT,
        "evidence": Many(
            Record(
                {
                    "name": _TEXT,
                    "value": _NUMBER,
                    "unit": _PLAIN,
                    "threshold": _NUMBER_OR_NULL,
                    "source": _TEXT_OR_NULL,
                }
            )
        ),
        "advice": _TEXT,
    }
)
_RULED_OUT = Record({"code": _WORD, "why": _TEXT})
_PROOF = Record({"answer": _WORD, "sentence": _TEXT, "words": _TEXT})
_COUNTER = Record(
    {
        "scope": _TEXT,
        "name": _TEXT,
        "unit": _PLAIN,
        "kind": _WORD,
        **dict.fromkeys(("before", "after"), _NUMBER),
        **dict.fromkeys(("delta", "peak", "limit"), _NUMBER_OR_NULL),
    }
)
_UNREADABLE = Record({"scope": _TEXT, "name": _TEXT, "reason": _TEXT})
_VERDICT = Record(
    {
        "code": _WORD,
        "confidence": _WORD,
        "findings": Many(_FINDING),
        "ruled_out": Many(_RULED_OUT),
        "counter_experiment": _PROOF,
    },
    later=frozenset({"ruled_out", "counter_experiment"}),
)
_STAGE = Record(
    {
        "name": _TEXT,
        "target_rps": _NUMBER,
        "window_s": _NUMBER,
        "warmup_s": _NUMBER,
        "repeat": _NUMBER,
        "order": _NUMBER,
        "status": _WORD,
        "replicas": _NUMBER,
        "events": Many(Record({"code": _WORD, "message": _TEXT, "t_s": _NUMBER_OR_NULL, "log": Many(_TEXT)})),
        "requests": Record(
            {
                **dict.fromkeys(("scheduled", "sent", "succeeded", "failed", "dropped"), _NUMBER),
                "failures": Each(_NUMBER),
            }
        ),
        "actual_rps": _NUMBER_OR_NULL,
        "achieved": _NUMBER_OR_NULL,
        **dict.fromkeys(("duration_ms", "response_time_ms", "connect_ms", "dispatch_delay_ms"), _LATENCY),
        "tls_ms": _LATENCY,
        "distribution": Many(Many(_NUMBER), null=True),
        "cpu_cores": Each(_USAGE),
        "cpu_cores_by_subject": Each(Record({"role": _WORD, "cpu": _USAGE})),
        "throttling_by_subject": Each(Record({"periods": _NUMBER, "throttled": _NUMBER})),
        "requests_by_subject": Each(_NUMBER),
        "cpu_us_per_request": Each(_NUMBER_OR_NULL),
        "memory_mib": Each(_USAGE),
        "timeseries": Many(Record({"t_s": _NUMBER, "rps": _NUMBER_OR_NULL, "p95_ms": _NUMBER_OR_NULL})),
        "clock": _TEXT_OR_NULL,
        "workers": _NUMBER_OR_NULL,
        "notes": Many(_TEXT),
        "thresholds": Many(Record({"expr": _TEXT, "ok": _FLAG, "value": _NUMBER_OR_NULL})),
        "validity": Record({"status": _WORD, "reasons": Many(_TEXT)}),
        "verdict": _VERDICT,
        "counters": Many(_COUNTER),
        "unreadable": Many(_UNREADABLE),
    },
    later=frozenset({"tls_ms", "distribution", "throttling_by_subject", "counters", "unreadable"}),
)
_REPEATS = Record(
    {
        "stage": _TEXT,
        "n": _NUMBER,
        "left_out": Many(_NUMBER),
        "metrics": Each(
            Record(
                {
                    "median": _NUMBER,
                    "low": _NUMBER_OR_NULL,
                    "high": _NUMBER_OR_NULL,
                    "outliers": Many(Record({"order": _NUMBER, "value": _NUMBER})),
                }
            )
        ),
    }
)
_CONFIGURATION = Record(
    {
        "name": _TEXT,
        "title": _TEXT_OR_NULL,
        "topology": Record(
            {
                "kind": _WORD,
                "url": _TEXT_OR_NULL,
                "command": Leaf("command", null=True),
                "replicas": _NUMBER_OR_NULL,
                "proxy": Record({}, null=True),
            },
            later=frozenset({"url", "command", "replicas", "proxy"}),
        ),
        "engine": _WORD,
        "load": Record(
            {
                "connection": _WORD,
                "arrivals": _WORD,
                "max_in_flight": _NUMBER,
                "when_full": _WORD,
                "timeout_s": _NUMBER,
                "request": Record({"method": _TEXT, "path": _TEXT}),
            }
        ),
        "stages": Many(_STAGE, least=1),
        "repeats": Many(_REPEATS),
    },
    later=frozenset({"repeats"}),
)
_RESULTS: Final[Shape] = Record(
    {
        "experiment": Record({"name": _WORD, "title": _TEXT, "objective": _TEXT, "spec_sha256": _WORD}),
        "run": Record(
            {
                "id": _WORD,
                "started_at": _TEXT,
                "finished_at": _TEXT_OR_NULL,
                "status": _WORD,
                "signal": Leaf("word", null=True),
                "error": _TEXT_OR_NULL,
                "command": _TEXT,
                "overrides": Many(_TEXT),
                "resumed_at": Many(_TEXT),
            },
            later=frozenset({"resumed_at"}),
        ),
        "environment": Each(_ANY, but={"cpu_count": _NUMBER_OR_NULL}),
        "configurations": Many(_CONFIGURATION, least=1),
    }
)


def read_results(path: Path) -> dict[str, Any]:
    """The content of a run's results.json, its shape checked.

    Args:
        path: The run's folder, or the file itself.

    Raises:
        StoredRunError: There is none, or it is partial, damaged, newer or edited.
    """
    file = path / _FILE if path.is_dir() else path
    return parse_results(_content(path, file), file)


def parse_results(content: bytes, file: Path) -> dict[str, Any]:
    """The same of a file's bytes.

    Args:
        content: The file, byte for byte.
        file: Its name, for messages.

    Raises:
        StoredRunError: As of `read_results`.
    """
    results = _parse(file, content)
    if not isinstance(results, dict):
        raise StoredRunError(f"{file} is no run: an object was expected")
    _check_version(file, results.get("schema_version"))
    found = list(islice(misfits(results, _RESULTS), _SHOWN + 1)) or _contradictions(results)
    if found:
        more = ("...",) if len(found) > _SHOWN else ()
        raise StoredRunError(
            f"{file} does not have the shape of a run's results",
            hint="it was changed by hand, or written by something else; run the experiment again",
            details=(*found[:_SHOWN], *more),
        )
    return results


def _contradictions(results: dict[str, Any]) -> list[str]:
    """What no run writes, although every part of it has its shape."""
    return [
        f"{configuration['name']}, {stage['name']}: it is invalid for no reason"
        for configuration in results["configurations"]
        for stage in configuration["stages"]
        if stage["validity"]["status"] == "invalid" and not stage["validity"]["reasons"]
    ][:_SHOWN]


def _content(path: Path, file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        _missing(path, file)
    except OSError as error:
        raise StoredRunError(f"cannot read {file}: {error.strerror}") from None
    if len(content) > _MOST_BYTES:
        raise StoredRunError(
            f"{file} is larger than {_MOST_BYTES // 1024**2} MiB, which no run's results are"
        )
    return content


def _missing(path: Path, file: Path) -> NoReturn:
    if not path.exists():
        raise StoredRunError(
            f"there is no run at {path}",
            hint="give the folder that `runner execute` wrote, such as reports/NAME/TIME",
        )
    journal = path / _JOURNAL
    if journal.is_file():
        raise StoredRunError(
            f"the run in {path} never ended: there is no {file.name}",
            hint=f"{journal} keeps every trial that ended before the run was killed",
        )
    raise StoredRunError(
        f"{path} is no run folder: there is no {file.name} in it",
        hint="give the folder that `runner execute` wrote, such as reports/NAME/TIME",
    )


def _parse(file: Path, content: bytes) -> Any:
    try:
        return json.loads(content.decode("utf-8"), parse_constant=_refuse)
    except UnicodeDecodeError:
        raise StoredRunError(f"{file} is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise StoredRunError(
            f"{file} cannot be read: {error.msg} in line {error.lineno}, column {error.colno}",
            hint="the file was cut short or changed by hand",
        ) from None
    except RecursionError:
        raise StoredRunError(f"{file} is nested too deeply to be a run's results") from None
    except ValueError as error:
        raise StoredRunError(f"{file} cannot be read: {str(error).partition(';')[0]}") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _check_version(file: Path, version: object) -> None:
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise StoredRunError(
            f"{file} is no run's results: it has no schema_version", hint="give the folder of a run"
        )
    if version > SCHEMA_VERSION:
        raise StoredRunError(
            f"{file} was written by a newer Loadproof "
            f"(schema version {version}; this one reads up to {SCHEMA_VERSION})",
            hint="update Loadproof and try again",
        )
