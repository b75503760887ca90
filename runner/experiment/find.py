"""A stage that looks for its rate: the highest at which everything it asks for holds."""

from __future__ import annotations

from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from runner.core.units import PerSecond, Seconds
from runner.experiment.base_model import Conflict, Part, refuse
from runner.experiment.fields import Line, Number, Whole
from runner.experiment.quantities import HOUR, Time, format_time
from runner.experiment.thresholds import Threshold
from runner.experiment.traffic import Stage, stage_name

MOST_PROBES: Final = 50
_LEAST_SHARE: Final = 0.01
_START_SHARE: Final = 0.1

Rate = Annotated[Number, Field(gt=0, le=1_000_000)]


class Find(Part):
    """What is looked for: doubled from `start` until a rate fails, then bisected."""

    max_rps: Rate = Field(description="The highest rate that may be tried.", examples=[20_000])
    until: tuple[Threshold, ...] = Field(
        min_length=1,
        max_length=100,
        description="A rate holds when all of these pass.",
        examples=[["response_time.p95 < 50ms", "achieved >= 99%"]],
    )
    min_rps: Rate | None = Field(
        None, description="The lowest rate that may be tried; a hundredth of max_rps when absent."
    )
    start: Rate | None = Field(
        None, description="The first rate; a tenth of max_rps when absent, and at least min_rps."
    )
    probes: Annotated[Whole, Field(ge=2, le=MOST_PROBES)] = Field(
        14, description="Most rates that are tried; enough for the other defaults."
    )
    precision: Annotated[Number, Field(ge=0.005, le=1)] = Field(
        0.05,
        description="Done when the lowest rate that failed is at most this fraction above the highest "
        "that held.",
        examples=[0.05],
    )

    @property
    def least(self) -> PerSecond:
        """The lowest rate that may be tried."""
        return self.max_rps * _LEAST_SHARE if self.min_rps is None else self.min_rps

    @property
    def first(self) -> PerSecond:
        """The rate to begin with."""
        return max(self.max_rps * _START_SHARE, self.least) if self.start is None else self.start

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        least, most = stage_name(self.least), stage_name(self.max_rps)
        refuse(
            Conflict(("min_rps",), f"should be less than max_rps, which is {most}")
            if self.least >= self.max_rps
            else None,
            Conflict(("start",), f"should be from {least} to {most}, the rates that may be tried")
            if self.start is not None and not self.least <= self.start <= self.max_rps
            else None,
        )
        return self


def _default_name(stage: dict[str, Any]) -> str:
    return f"find up to {stage_name(stage['find'].max_rps)}"


class FindStage(Part):
    """The highest rate that holds, found by probes which are stages of their own."""

    find: Find = Field(
        description="What is looked for.",
        examples=[{"max_rps": 20_000, "until": ["response_time.p95 < 50ms", "achieved >= 99%"]}],
    )
    duration: Annotated[Seconds, Time(most=24 * HOUR)] = Field(
        description="Length of each probe's measured window.", examples=["10s"]
    )
    warmup: Annotated[Seconds, Time(most=HOUR, zero=True)] = Field(
        0.0, description="The probe's rate before its window, not counted.", examples=["2s"]
    )
    name: Line = Field(
        default_factory=_default_name,
        max_length=60,
        description="Defaults to the highest rate, such as 'find up to 20,000 RPS'.",
    )

    @model_validator(mode="before")
    @classmethod
    def _one_of_both(cls, value: Any) -> Any:
        if isinstance(value, dict) and "rps" in value:
            refuse(Conflict(("rps",), "a stage has either rps or find", "find looks for the rate itself"))
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.find.least * self.duration < 1:
            rate = stage_name(self.find.least)
            message = f"{rate}, the lowest to try, for {format_time(self.duration)} is less than one request"
            refuse(Conflict(("duration",), message))
        return self

    def at(self, rate: PerSecond) -> Stage:
        """The stage that offers one rate."""
        return Stage(rps=rate, duration=self.duration, warmup=self.warmup, name=f"find {stage_name(rate)}")
