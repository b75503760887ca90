"""Every second's histogram as an HdrHistogram interval log: other tools can look for themselves.

The encoded texts are taken from the journal as they stand there, so the log is the same to
the byte wherever it is made. Format: HistogramLogWriter of HdrHistogram (version 1.3 with
tags); values are microseconds, the column of maxima is milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from runner.core.units import Seconds

METRICS: Final = ("response_time", "duration")
"""What is worth a line each second; the journal has all the others as well."""

_HEAD: Final = """\
#[Histogram log format version 1.3]
#[Made by Loadproof. Values are microseconds, Interval_Max is milliseconds.]
#[Tags are configuration/stage/repeat/metric; response_time counts from when a request was due.]
"""
_LEGEND: Final = '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'
_NOT_IN_TAGS: Final = re.compile(r"[^A-Za-z0-9._-]+")


def interval_log(trials: Sequence[Mapping[str, Any]]) -> str:
    """The log of these trials.

    Args:
        trials: As the journal's lines hold them, histograms still encoded; in any order.

    Returns:
        One line for each second and metric that has values, in order of time. A trial whose
        engine keeps no histograms (k6) has no lines.
    """
    began = {trial["order"]: _measured_from(trial) for trial in trials}
    base = min(began.values(), default=0.0)
    lines = sorted(
        (began[trial["order"]] - base + second["index"], at, line)
        for at, (trial, tag) in enumerate(zip(trials, tags(trials), strict=True))
        for second in seconds_of(trial)
        for line in _lines(second, tag, began[trial["order"]] - base)
    )
    when = datetime.fromtimestamp(base, UTC).isoformat(timespec="seconds")
    stamps = f"#[StartTime: {base:.3f} (seconds since epoch), {when}]\n"
    stamps += f"#[BaseTime: {base:.3f} (seconds since epoch)]\n"
    return _HEAD + stamps + _LEGEND + "".join(line for *_, line in lines)


def tags(trials: Iterable[Mapping[str, Any]]) -> list[str]:
    """A tag for each trial, all different: ``docker-4k/4000-RPS/1``."""
    found: list[str] = []
    for trial in trials:
        parts = [trial["configuration"], trial["stage"], trial["repeat"]]
        parts += [trial["change"]] if trial.get("change") else []
        tag = "/".join(_word(str(part)) for part in parts)
        found.append(f"{tag}/{trial['order']}" if tag in found else tag)
    return found


def _word(text: str) -> str:
    """A part of a tag: a comma would end it, a blank confuses readers."""
    return _NOT_IN_TAGS.sub("-", text.replace(",", "")).strip("-") or "x"


def seconds_of(trial: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The seconds of a trial's load; none when it never began."""
    load = trial.get("load") or {}
    seconds: Sequence[Mapping[str, Any]] = load.get("seconds") or ()
    return seconds


def _measured_from(trial: Mapping[str, Any]) -> Seconds:
    """When the measured window began, seconds since the epoch; to a second, as the journal has it."""
    return datetime.fromisoformat(trial["started_at"]).timestamp() + float(trial["warmup_s"])


def _lines(second: Mapping[str, Any], tag: str, began_s: Seconds) -> Iterator[str]:
    for metric in METRICS:
        if histogram := second.get(metric):
            start = began_s + second["index"]
            longest = histogram["max_ns"] / 1e6
            yield f"Tag={tag}/{metric},{start:.3f},1.000,{longest:.3f},{histogram['hdr']}\n"
