"""The table of stages: its columns and what each number is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Column:
    """Of the table of stages.

    Attributes:
        key: Names its definition in the page.
        title: Its heading.
        means: The definition; empty for names.
    """

    key: str
    title: str
    means: str = ""


COLUMNS: Final = (
    Column("configuration", "Configuration"),
    Column("stage", "Stage"),
    Column("verdict", "Limited by", "What the stage was limited by, and how sure that is: proven by a counter that cannot rise for another reason or by a counter-experiment, likely, or a hint."),
    Column("target", "Target RPS", "Requests offered a second, on an absolute schedule that never waits for answers."),
    Column("actual", "Actual RPS", "Good answers completed in the measured window ÷ its seconds; the warm-up is excluded."),
    Column("achieved", "Achieved", "Actual RPS ÷ target RPS."),
    Column("p50", "p50 (ms)", "Half of the requests had at most this duration: from the connection being ready to the last byte, what k6 calls http_req_duration. Connection time is not in it."),
    Column("p95", "p95 (ms)", "95 of 100 requests had at most this duration."),
    Column("p99", "p99 (ms)", "99 of 100 requests had at most this duration."),
    Column("response", "p95 response (ms)", "From the instant a request was due to its last byte: what a user would feel. Waiting before it was sent is in it, so a stall cannot hide (coordinated omission)."),
    Column("lost", "Failed or dropped", "Answered wrongly or not at all, or never sent because max_in_flight requests were under way."),
    Column("app", "App CPU (cores)", "CPU seconds of the service in the window ÷ its seconds, from cumulative counters."),
    Column("system", "Host CPU (cores)", "The same for the whole host; the roles add up to it."),
    Column("curve", "Rate over time", "Answers of each second against the target, which is the full height."),
)  # fmt: skip
