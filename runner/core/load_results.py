"""How a configuration was loaded: requests, variables and hooks."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from runner.core.result_values import Count, Number, Text, Word


class RequestSummary(Struct, frozen=True):
    """The request that was sent."""

    method: Text
    path: Text


class RequestShare(Struct, frozen=True):
    """One request of a mix, and its share of all requests, 0 to 1; variables are not replaced in its path."""

    name: Word
    method: Text
    path: Text
    share: Number


class StepSummary(Struct, frozen=True):
    """A step of a scenario that sends a request; variables are not replaced in its path.

    Attributes:
        path: Empty where the request goes to a URL that an earlier response had.
    """

    name: Word
    method: Text
    path: Text


class ScenarioSummary(Struct, frozen=True):
    """A scenario, its share of all runs, 0 to 1, and its steps that send requests, in order."""

    name: Word
    share: Number
    steps: tuple[StepSummary, ...]


class SentVariable(Struct, frozen=True):
    """A variable of the requests; of a secret, the name alone.

    Attributes:
        kind: The key of its source in the specification, such as ``csv`` or ``int``; ``env`` is a secret.
        source: The file as in the specification, or the command; absent for other kinds.
        order: Of rows: ``sequential``, ``random`` or ``once``; absent for other kinds.
        rows: How many there were; absent for other kinds.
    """

    name: Text
    kind: Word
    source: Text | UnsetType = UNSET
    order: Word | UnsetType = UNSET
    rows: Count | UnsetType = UNSET


class LoadSummary(Struct, frozen=True):
    """How a configuration was loaded.

    Attributes:
        request: None of a mix and of scenarios.
        requests: Those of a mix, in the specification's order; absent without one.
        variables: Of the requests, in the specification's order; absent without any.
        scenarios: In the specification's order; absent without any.
    """

    connection: Word
    arrivals: Word
    max_in_flight: Count
    when_full: Word
    timeout_s: Number
    request: RequestSummary | None
    requests: tuple[RequestShare, ...] | UnsetType = UNSET
    variables: tuple[SentVariable, ...] | UnsetType = UNSET
    scenarios: tuple[ScenarioSummary, ...] | UnsetType = UNSET


class HookSummary(Struct, frozen=True):
    """A hook that ran; fields as of `runner.core.facts.HookFacts`.

    Attributes:
        runs: How often it ran.
        median_s: How long it took.
        longest_s: How long it took at most.
        failed: How many of the runs are not done; absent if all are.
        status: Of the last run that is not done; ``done`` if all are.
        reason: Of that run; absent if all are done.
    """

    phase: Literal["setup", "before_trial", "teardown"]
    number: Count
    what: Text
    runs: Count
    median_s: Number
    longest_s: Number
    status: Literal["done", "failed", "skipped", "ended"]
    failed: Count | UnsetType = UNSET
    reason: Text | UnsetType = UNSET

    @property
    def path(self) -> str:
        """Where it stands in the specification."""
        return f"hooks.{self.phase}[{self.number - 1}]"
