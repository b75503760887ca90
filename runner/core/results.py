"""The content of results.json as types: what every report, comparison and check is made from.

Decoding checks types, ranges and patterns, so that whatever was decoded can be rendered. Free text may hold
anything and is escaped where it is shown. Field order is the order of keys in the file. Fields without a
default are always written; optional ones only where they apply. What a stage has is in
`runner.core.stage_results`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from runner.core.codes import HypothesisAnswer, Limit
from runner.core.definitions import DEFINITIONS
from runner.core.load_results import HookSummary, LoadSummary
from runner.core.repeat_results import Capacity, CrossCheck, Repeats
from runner.core.result_values import EnvironmentValue, Sentence, Text, Word
from runner.core.scaling_results import Scaling
from runner.core.stage_results import Stage
from runner.core.system_facts import SystemDescription


class Hypothesis(Struct, frozen=True):
    """The limit that was expected, against the one that was found, and the stage that decides."""

    expected: Limit
    answer: HypothesisAnswer
    stage: Text
    why: Sentence


class ConfigurationResults(Struct, frozen=True):
    """One system under test, the way it was loaded, and its stages.

    Attributes:
        hooks: Those that ran; absent without any.
    """

    name: Text
    title: Text | None
    topology: SystemDescription
    engine: Word
    load: LoadSummary
    hypothesis: Hypothesis | None
    stages: Annotated[tuple[Stage, ...], Meta(min_length=1)]
    repeats: tuple[Repeats, ...]
    capacity: tuple[Capacity, ...]
    cross_check: tuple[CrossCheck, ...]
    hooks: tuple[HookSummary, ...] | UnsetType = UNSET


class ExperimentInfo(Struct, frozen=True):
    """The experiment's name, title, objective, and the SHA-256 of its specification."""

    name: Word
    title: Text
    objective: Text
    spec_sha256: Word


class RunInfo(Struct, frozen=True):
    """The run; fields as of `runner.core.facts.RunFacts`.

    Attributes:
        files_outside: Absent without any.
        files_with_secrets: Absent without any.
    """

    id: Word
    started_at: Text
    finished_at: Text | None
    status: Literal["complete", "aborted"]
    signal: Word | None
    error: Text | None
    command: Text
    overrides: tuple[Text, ...]
    resumed_at: tuple[Text, ...]
    files_outside: tuple[Text, ...] | UnsetType = UNSET
    files_with_secrets: tuple[Text, ...] | UnsetType = UNSET


class Results(Struct, frozen=True):
    """The content of results.json.

    Attributes:
        environment: The host; keys end in their unit where they have one.
        scaling: One entry per family of configurations that differ in replicas alone.
        definitions: Version of what the numbers mean, see `runner.core.definitions`.
    """

    schema_version: int
    experiment: ExperimentInfo
    run: RunInfo
    environment: dict[Word, EnvironmentValue]
    configurations: Annotated[tuple[ConfigurationResults, ...], Meta(min_length=1)]
    scaling: tuple[Scaling, ...]
    definitions: Annotated[int, Meta(ge=1, le=DEFINITIONS)] = 1

    @property
    def cpu_count(self) -> int | None:
        """The host's number of cores, None where it is not known."""
        found = self.environment.get("cpu_count")
        return int(found) if isinstance(found, int | float) and found else None
