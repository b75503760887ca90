"""Which trial of which run the rows of a table belong to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from runner.core.facts import TrialFacts
from runner.outputs.column import Column, Kind


@dataclass(frozen=True, slots=True)
class Place:
    """A trial, and the run that it is part of."""

    experiment: str
    run_id: str
    trial: TrialFacts

    @property
    def engine(self) -> str:
        """What offered the load; empty if it could not begin."""
        return self.trial.load.engine if self.trial.load else ""


class Part(StrEnum):
    """What a row is about."""

    STAGE = "stage"
    REQUEST = "request"
    SCENARIO = "scenario"
    ROLE = "role"


class InPlace(Protocol):
    """A row of any table."""

    @property
    def place(self) -> Place:
        """The trial that it belongs to."""

    @property
    def part(self) -> Part:
        """What it is about."""

    @property
    def name(self) -> str:
        """Name of the request, scenario or role; empty for the whole stage."""


PLACE_COLUMNS: Final[tuple[Column[InPlace], ...]] = (
    Column("experiment", Kind.TEXT, "", "Name of the experiment", lambda row: row.place.experiment),
    Column("run_id", Kind.TEXT, "", "The run; unique", lambda row: row.place.run_id),
    Column(
        "configuration", Kind.TEXT, "", "Name of the configuration", lambda row: _trial(row).configuration
    ),
    Column("stage", Kind.TEXT, "", "Name of the stage", lambda row: _trial(row).stage),
    Column("repeat", Kind.COUNT, "", "Which repeat of the stage, from 1", lambda row: _trial(row).repeat),
    Column(
        "trial", Kind.COUNT, "", "Place of the trial in the run, from 1", lambda row: _trial(row).order + 1
    ),
    Column(
        "change",
        Kind.TEXT,
        "",
        "The change that a counter-experiment tests; empty for other trials",
        lambda row: _trial(row).change if _trial(row).proves is not None else "",
    ),
    Column(
        "block",
        Kind.COUNT,
        "",
        "Which block of a counter-experiment, from 1: those with an even number have the change; 0 for other "
        "trials",
        lambda row: 0 if _trial(row).block is None else (_trial(row).block or 0) + 1,
    ),
    Column("engine", Kind.TEXT, "", "What offered the load: `builtin` or `k6`", lambda row: row.place.engine),
    Column(
        "part",
        Kind.TEXT,
        "",
        "What the row is about: the whole `stage`, one `request` of several (or a step, as `scenario/step`), "
        "the runs of one `scenario`, or one `role`",
        lambda row: row.part.value,
    ),
    Column(
        "name",
        Kind.TEXT,
        "",
        "Name of that request, scenario or role; empty for a stage",
        lambda row: row.name,
    ),
)


def _trial(row: InPlace) -> TrialFacts:
    return row.place.trial
