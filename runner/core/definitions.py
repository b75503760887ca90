"""The versions of what the numbers in results mean.

A metric whose definition changes keeps its name; results carry the version of the definitions that they were
computed with. An archive is verified in everything whose definition is the same.
"""

from __future__ import annotations

from typing import Final, NamedTuple

DEFINITIONS: Final = 4
"""The version that this code computes results with; files of Loadproof 0.1.0 have version 1."""


class Redefinition(NamedTuple):
    """A change of what some keys of results.json mean.

    Attributes:
        version: Of the definitions, from which on the new meaning holds.
        keys: The keys, wherever they are in the results; with everything in them.
        meaning: What is different, as a phrase.
    """

    version: int
    keys: frozenset[str]
    meaning: str


REDEFINITIONS: Final = (
    Redefinition(
        2,
        frozenset({"achieved"}),
        "achieved: the share of the due requests that was sustained, where it was throughput ÷ target rate",
    ),
    Redefinition(
        2,
        frozenset({"duration_ms", "response_time_ms", "first_byte_ms", "distribution", "p95_ms"}),
        "percentiles: failed and dropped requests count as infinitely slow, where they were left out",
    ),
    Redefinition(
        2,
        frozenset({"thresholds", "conditions", "metrics", "capacity", "differences", "find"}),
        "thresholds, searches, repeats and comparisons: follow from both",
    ),
    Redefinition(
        3,
        frozenset({"counter_experiment", "other_experiments", "withdrawn"}),
        "counter-experiments: alternating blocks without and with a change are compared, where it was a run",
    ),
    Redefinition(
        3,
        frozenset({"repeats", "hypothesis"}),
        "repeats: thresholds and hypotheses are judged on the median, where each repeat was",
    ),
    Redefinition(
        3,
        frozenset({"thresholds"}),
        "thresholds: all fail if the system under test failed, where its values until then were judged",
    ),
    Redefinition(
        4,
        frozenset({"cpu_us_per_request"}),
        "CPU time per response: of the responses in the window, where it was of the requests due in it",
    ),
)


def redefined_since(version: int) -> tuple[Redefinition, ...]:
    """Return what means something else in results with that version of the definitions."""
    return tuple(change for change in REDEFINITIONS if change.version > version)
