"""The histogram of every second as an HdrHistogram interval log, which other tools can read.

The encoded histograms are copied from the journal, so the log is the same to the byte wherever it is made.
Format: HistogramLogWriter of HdrHistogram (version 1.3 with tags); values are microseconds, the column of
maxima is milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec import Struct

from runner.core.errors import StoredRunError
from runner.core.units import NS_PER_MS, Nanoseconds, Seconds

METRICS: Final = ("response_time", "duration")
"""One line per second each; the journal contains all other metrics as well."""

_HEAD: Final = """\
#[Histogram log format version 1.3]
#[Made by Loadproof. Values are microseconds, Interval_Max is milliseconds.]
#[Tags are configuration/stage/repeat/metric; response_time counts from when a request was due.]
"""
_HEAD_OF_MIX: Final = "#[Tags with request=NAME before the metric are of one request of a mix.]\n"
_HEAD_OF_SCENARIOS: Final = (
    "#[Tags with scenario=NAME are of a scenario: scenario_duration of its runs, request=NAME of a step.]\n"
)
_LEGEND: Final = '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n'
_NOT_IN_TAGS: Final = re.compile(r"[^A-Za-z0-9._-]+")


class EncodedHistogram(Struct, frozen=True):
    """A histogram in the V2 compressed format of HdrHistogram, base64."""

    hdr: str
    max_ns: Nanoseconds


class EncodedPart(Struct, frozen=True):
    """The histograms of one second of one request of a mix; as of `runner.core.load_facts.LoadSecond`."""

    response_time: EncodedHistogram | None = None
    duration: EncodedHistogram | None = None


class EncodedSecond(EncodedPart, frozen=True, kw_only=True):
    """The histograms of one second, and those of each request of a mix and of the runs of each scenario."""

    index: int
    parts: dict[str, EncodedPart] = {}
    scenarios: dict[str, EncodedPart] = {}


class EncodedLoad(Struct, frozen=True):
    """The seconds of a trial."""

    seconds: tuple[EncodedSecond, ...] = ()


class EncodedTrial(Struct, frozen=True):
    """What the log shows of a trial, with histograms still encoded; as of `runner.core.facts.TrialFacts`."""

    configuration: str
    stage: str
    repeat: int
    order: int
    started_at: str
    warmup_s: Seconds
    load: EncodedLoad | None = None
    change: str = ""


class _Line(Struct, frozen=True):
    trial: EncodedTrial


_decoder: Final = msgspec.json.Decoder(_Line)


def encoded_trials(journal: bytes, source: str) -> list[EncodedTrial]:
    """Return the latest state of every trial, without a last line that a crash cut off.

    Args:
        journal: Content of the journal.
        source: Its name, for messages.

    Raises:
        StoredRunError: A line other than the last is damaged.
    """
    latest: dict[int, EncodedTrial] = {}
    lines = journal.splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            trial = _decoder.decode(line).trial
        except (ValueError, RecursionError):
            if number < len(lines):
                raise StoredRunError(f"{source}, line {number} is damaged") from None
        else:
            latest[trial.order] = trial
    return list(latest.values())


def interval_log(trials: Sequence[EncodedTrial]) -> str:
    """Return the log of these trials, which may be in any order.

    It has one line for each second and metric that has values, in order of time. A trial whose engine keeps
    no histograms (k6) has no lines.
    """
    began = {trial.order: _measured_from(trial) for trial in trials}
    base = min(began.values(), default=0.0)
    lines = sorted(
        (began[trial.order] - base + second.index, number, line)
        for number, (trial, tag) in enumerate(zip(trials, tags(trials), strict=True))
        for second in (trial.load.seconds if trial.load else ())
        for line in _lines(second, tag, began[trial.order] - base)
    )
    when = datetime.fromtimestamp(base, UTC).isoformat(timespec="seconds")
    stamps = f"#[StartTime: {base:.3f} (seconds since epoch), {when}]\n"
    stamps += f"#[BaseTime: {base:.3f} (seconds since epoch)]\n"
    seconds = [second for trial in trials if trial.load for second in trial.load.seconds]
    head = _HEAD
    if any(second.scenarios for second in seconds):
        head += _HEAD_OF_SCENARIOS
    elif any(second.parts for second in seconds):
        head += _HEAD_OF_MIX
    return head + stamps + _LEGEND + "".join(line for *_, line in lines)


def tags(trials: Sequence[EncodedTrial]) -> list[str]:
    """Return a tag for each trial, all different: ``docker-4k/4000-RPS/1``.

    Of trials that would have the same tag, all but the first one in the run end in their `order`.
    """
    made: dict[int, str] = {}
    for trial in sorted(trials, key=lambda trial: trial.order):
        parts = [trial.configuration, trial.stage, str(trial.repeat)]
        tag = "/".join(map(_word, [*parts, trial.change] if trial.change else parts))
        made[trial.order] = f"{tag}/{trial.order}" if tag in made.values() else tag
    return [made[trial.order] for trial in trials]


def _word(text: str) -> str:
    """Return a part of a tag: a comma would end it, and a blank confuses readers."""
    return _NOT_IN_TAGS.sub("-", text.replace(",", "")).strip("-") or "x"


def _measured_from(trial: EncodedTrial) -> Seconds:
    """Return the start of the measured window, seconds since the epoch; as precise as the journal, 1 s."""
    return datetime.fromisoformat(trial.started_at).timestamp() + trial.warmup_s


def _lines(second: EncodedSecond, tag: str, began_s: Seconds) -> Iterator[str]:
    start = began_s + second.index
    yield from _lines_of_part(second, tag, start)
    for request, part in second.parts.items():
        scenario, _, name = request.rpartition("/")
        of = f"{tag}/scenario={_word(scenario)}" if scenario else tag
        yield from _lines_of_part(part, f"{of}/request={_word(name)}", start)
    for scenario, runs in second.scenarios.items():
        if runs.response_time:
            yield _line(runs.response_time, f"{tag}/scenario={_word(scenario)}/scenario_duration", start)


def _lines_of_part(part: EncodedPart, tag: str, start: Seconds) -> Iterator[str]:
    for metric in METRICS:
        histogram: EncodedHistogram | None = getattr(part, metric)
        if histogram:
            yield _line(histogram, f"{tag}/{metric}", start)


def _line(histogram: EncodedHistogram, tag: str, start: Seconds) -> str:
    return f"Tag={tag},{start:.3f},1.000,{histogram.max_ns / NS_PER_MS:.3f},{histogram.hdr}\n"
