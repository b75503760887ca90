"""A stage that searches for the highest rate at which all its criteria pass."""

from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from runner.core.units import PerSecond, Seconds
from runner.experiment.base_model import SpecModel, conflict_if, refuse
from runner.experiment.fields import Line, Number, Whole
from runner.experiment.quantities import HOUR, Time, format_time
from runner.experiment.stage import Stage, stage_name
from runner.experiment.thresholds import Threshold

MAX_PROBES: Final = 50
_MIN_SHARE: Final = 0.01
_START_SHARE: Final = 0.1

Rate = Annotated[Number, Field(gt=0, le=1_000_000)]


class Find(SpecModel):
    """A search that doubles the rate from `start` until one fails, then bisects."""

    max_rps: Rate = Field(description="Highest rate to try.", examples=[20_000])
    until: tuple[Threshold, ...] = Field(
        min_length=1,
        max_length=100,
        description="A rate is sustained when all of these pass.",
        examples=[["response_time.p95 < 50ms", "achieved >= 99%"]],
    )
    min_rps: Rate | None = Field(None, description="Lowest rate to try; 1/100 of max_rps when absent.")
    start: Rate | None = Field(
        None, description="First rate; 1/10 of max_rps when absent, but at least min_rps."
    )
    probes: Annotated[Whole, Field(ge=2, le=MAX_PROBES)] = Field(
        14, description="Maximum number of rates to try; sufficient for the other defaults."
    )
    precision: Annotated[Number, Field(ge=0.005, le=1)] = Field(
        0.05,
        description="The search ends when the lowest failed rate is at most this fraction above the "
        "highest sustained rate.",
        examples=[0.05],
    )

    @property
    def lowest_rps(self) -> PerSecond:
        """The lowest rate to try: `min_rps` or its default."""
        return self.max_rps * _MIN_SHARE if self.min_rps is None else self.min_rps

    @property
    def first_rps(self) -> PerSecond:
        """The first rate to try: `start` or its default."""
        return max(self.max_rps * _START_SHARE, self.lowest_rps) if self.start is None else self.start

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        lowest, highest = stage_name(self.lowest_rps), stage_name(self.max_rps)
        empty = self.lowest_rps >= self.max_rps
        outside = self.start is not None and not self.lowest_rps <= self.start <= self.max_rps
        refuse(
            conflict_if(empty, ("min_rps",), f"should be less than max_rps, which is {highest}"),
            conflict_if(outside, ("start",), f"should be between min_rps ({lowest}) and max_rps ({highest})"),
        )
        return self


class FindStage(SpecModel):
    """A search for the highest sustained rate; each probe is a stage of its own."""

    find: Find = Field(
        description="Limits and criteria of the search.",
        examples=[{"max_rps": 20_000, "until": ["response_time.p95 < 50ms", "achieved >= 99%"]}],
    )
    duration: Annotated[Seconds, Time(max_s=24 * HOUR)] = Field(
        description="Length of each probe's measured window.", examples=["10s"]
    )
    warmup: Annotated[Seconds, Time(max_s=HOUR, zero=True)] = Field(
        0.0, description="Load at the probe's rate before its window; not measured.", examples=["2s"]
    )
    name: Line = Field(
        default_factory=lambda given: f"find up to {stage_name(given['find'].max_rps)}",
        max_length=60,
        description="Defaults to the highest rate, such as 'find up to 20,000 RPS'.",
    )

    @property
    def located_thresholds(self) -> tuple[tuple[str, ...], tuple[Threshold, ...]]:
        """Its criteria, after the keys that lead to them."""
        return ("find", "until"), self.find.until

    @model_validator(mode="before")
    @classmethod
    def _refuse_rps_beside_find(cls, value: Any) -> Any:
        for key in ("rps", "users"):
            both = isinstance(value, dict) and key in value
            message = f"a stage has either {key} or find, not both"
            refuse(conflict_if(both, (key,), message, "find chooses the rates itself"))
        return value

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        rate = f"{stage_name(self.find.lowest_rps)}, the lowest rate to try,"
        message = f"{rate} for {format_time(self.duration)} is less than one request"
        refuse(conflict_if(self.find.lowest_rps * self.duration < 1, ("duration",), message))
        return self

    def at(self, rate: PerSecond) -> Stage:
        """Return the stage that offers one rate of the search."""
        return Stage(rps=rate, duration=self.duration, warmup=self.warmup, name=f"find {stage_name(rate)}")
