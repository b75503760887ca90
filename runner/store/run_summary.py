"""One run in a list of runs: what a row shows, and what the row was made from."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct

SUMMARY_VERSION: Final = 8
"""Of the content of a summary; a cache of another version is not used."""

Key: TypeAlias = tuple[tuple[str, int, int], ...]
"""Name, size in bytes and time of the last change in nanoseconds of each file that a summary depends on."""


class RunState(StrEnum):
    """What a row is about."""

    COMPLETE = "complete"
    ABORTED = "aborted"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    DAMAGED = "damaged"
    UNVERIFIED = "does not verify"
    UNREADABLE = "unreadable"
    FOREIGN = "not a run"
    LINK = "link"
    UNREAD = "not read yet"


_COMPLETE: Final = RunState.COMPLETE
_ABORTED: Final = RunState.ABORTED


class RunSummary(Struct, frozen=True, array_like=True):
    """One run of a folder, or something in the folder that is none.

    Attributes:
        path: Relative to the folder, as Python decodes names of files; empty for the folder itself.
        key: Changes whenever the summary may have changed.
        state: What it is.
        is_archive: Whether it is one file; `path` is that of the file.
        problem: Why it has no numbers, a phrase; empty where it has.
        hint: What to do about that; may be empty.
        experiment: Name of the experiment; empty where it is not known.
        title: Of the experiment, for people.
        run_id: Empty where it is not known.
        started_at: UTC, ISO 8601; of what is no run, when it was changed last.
        duration_s: How long the run took; None where it did not end.
        sentence: The verdict in one sentence, as of `runner.report.headline`.
        tone: Likewise: ``good``, ``neutral`` or ``bad``.
        verdict: What limits the service, a code of `runner.core.codes.Limit`; empty if nothing was judged.
        confidence: How sure the verdict is; empty without one.
        validity: The worst of the stages that the verdict and the figures are about.
        rate: The highest sustained rate, else the highest throughput; None where nothing was measured.
        unit: Of `rate`, such as ``RPS``.
        is_sustained: Whether `rate` was sustained.
        p95_ms: Of the latency at that rate; None where it has no finite value.
        error_share: Share of the requests or scenarios that failed or were dropped there, 0 to 1.
        stages: How many ran.
        thresholds: How many were judged, each once however many stages it was checked in.
        thresholds_failed: How many of them failed in some stage.
        curve: Successful responses per second over the run, thinned out.
        machine: Equal for two runs on machines of one kind; empty where it is not known.
        archive: Name of the archive in the folder of the run; empty without one.
        specification: Equal for two runs with the same specification and overrides; empty if not known.
        cut_off_share: Share of the scenarios at that rate that had not ended when the stage did, 0 to 1.
    """

    path: str
    key: Key
    state: RunState
    is_archive: bool = False
    problem: str = ""
    hint: str = ""
    experiment: str = ""
    title: str = ""
    run_id: str = ""
    started_at: str = ""
    duration_s: float | None = None
    sentence: str = ""
    tone: str = ""
    verdict: str = ""
    confidence: str = ""
    validity: str = ""
    rate: float | None = None
    unit: str = ""
    is_sustained: bool = False
    p95_ms: float | None = None
    error_share: float | None = None
    stages: int = 0
    thresholds: int = 0
    thresholds_failed: int = 0
    curve: tuple[float, ...] = ()
    machine: str = ""
    archive: str = ""
    specification: str = ""
    cut_off_share: float = 0.0

    @property
    def thresholds_text(self) -> str:
        """Whether the thresholds passed: ``1 of 2 failed``, ``2 passed``; empty without any."""
        if self.thresholds_failed:
            return f"{self.thresholds_failed:,} of {self.thresholds:,} failed"
        return f"{self.thresholds:,} passed" if self.thresholds else ""

    @property
    def is_measured(self) -> bool:
        """Whether it has numbers: states are compared by identity, as a set takes ten times as long."""
        return self.state is _COMPLETE or self.state is _ABORTED


def byte_text(name: str) -> str:
    """Return a name of a file with a character for each of its bytes, which need not be UTF-8."""
    return name if name.isascii() else os.fsencode(name).decode("latin-1")
