"""A stage that searches for the highest rate at which all its criteria pass."""

from collections.abc import Iterator
from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from runner.core.codes import RateUnit
from runner.core.units import PerSecond, Seconds
from runner.experiment.base_model import Conflict, SpecModel, conflict_if, refuse
from runner.experiment.fields import Line, Number, Whole
from runner.experiment.quantities import HOUR, Time, format_time
from runner.experiment.stage import MAX_RPS, MAX_USERS_PER_S, Stage, rate_name
from runner.experiment.thresholds import Threshold

MAX_PROBES: Final = 50
_MIN_SHARE: Final = 0.01
_START_SHARE: Final = 0.1

Rate = Annotated[Number, Field(gt=0, le=MAX_RPS)]
UserRate = Annotated[Number, Field(gt=0, le=MAX_USERS_PER_S)]


class Find(SpecModel):
    """A search that doubles the rate from `start` until one fails, then bisects."""

    max_rps: Rate | None = Field(
        None,
        description="Highest rate of requests to try. A search has max_rps or max_users_per_s.",
        examples=[20_000],
    )
    max_users_per_s: UserRate | None = Field(
        None,
        description="Highest rate to try of users who start a scenario. Only with scenarios.",
        examples=[200],
    )
    until: tuple[Threshold, ...] = Field(
        min_length=1,
        max_length=100,
        description="A rate is sustained when all of these pass.",
        examples=[["response_time.p95 < 50ms", "achieved >= 99%"]],
    )
    min_rps: Rate | None = Field(None, description="Lowest rate to try; 1/100 of max_rps when absent.")
    min_users_per_s: UserRate | None = Field(
        None, description="Lowest rate of users to try; 1/100 of max_users_per_s when absent."
    )
    start: Rate | None = Field(
        None, description="First rate; 1/10 of the highest when absent, but at least the lowest."
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
    def unit(self) -> RateUnit:
        """What its rates count."""
        return RateUnit.REQUESTS if self.max_users_per_s is None else RateUnit.USERS

    @property
    def highest(self) -> PerSecond:
        """The highest rate to try."""
        return self.max_users_per_s or self.max_rps or 0.0

    @property
    def lowest(self) -> PerSecond:
        """The lowest rate to try, given or its default."""
        given = self.min_rps if self.max_users_per_s is None else self.min_users_per_s
        return self.highest * _MIN_SHARE if given is None else given

    @property
    def first(self) -> PerSecond:
        """The first rate to try: `start` or its default."""
        return max(self.highest * _START_SHARE, self.lowest) if self.start is None else self.start

    def name(self, rate: PerSecond) -> str:
        """Return a rate with the unit of the search."""
        return rate_name(rate, self.unit)

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        refuse(*self._unit_conflicts())
        least, most = ("min_rps", "max_rps") if self.max_users_per_s is None else _OF_USERS
        lowest, highest = self.name(self.lowest), self.name(self.highest)
        empty = self.lowest >= self.highest
        outside = self.start is not None and not self.lowest <= self.start <= self.highest
        refuse(
            conflict_if(empty, (least,), f"should be less than {most}, which is {highest}"),
            conflict_if(outside, ("start",), f"should be between {least} ({lowest}) and {most} ({highest})"),
        )
        return self

    def _unit_conflicts(self) -> Iterator[Conflict | None]:
        """Yield what makes it unclear which rate is searched for."""
        users = self.max_users_per_s is not None
        missing = not users and self.max_rps is None
        yield conflict_if(
            missing, (), "needs max_rps, or with scenarios max_users_per_s", "such as max_rps: 20000"
        )
        both = users and self.max_rps is not None
        yield conflict_if(both, ("max_rps",), "a search has either max_rps or max_users_per_s, not both")
        for key, most, wrong in (
            ("min_rps", "max_rps", users),
            ("min_users_per_s", "max_users_per_s", not users),
        ):
            given = getattr(self, key) is not None and not missing and not both
            yield conflict_if(given and wrong, (key,), f"has no effect without {most}", "remove it")


_OF_USERS: Final = ("min_users_per_s", "max_users_per_s")


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
        default_factory=lambda given: f"find up to {given['find'].name(given['find'].highest)}",
        max_length=60,
        description="Defaults to the highest rate, such as 'find up to 20,000 RPS'.",
    )

    @property
    def located_thresholds(self) -> tuple[tuple[str, ...], tuple[Threshold, ...]]:
        """Its criteria, after the keys that lead to them."""
        return ("find", "until"), self.find.until

    @model_validator(mode="before")
    @classmethod
    def _refuse_level_beside_find(cls, value: Any) -> Any:
        for key in ("rps", "users", "users_per_s"):
            both = isinstance(value, dict) and key in value
            message = f"a stage has either {key} or find, not both"
            refuse(conflict_if(both, (key,), message, "find chooses the rates itself"))
        return value

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        rate = f"{self.find.name(self.find.lowest)}, the lowest rate to try,"
        one = "user" if self.find.unit is RateUnit.USERS else "request"
        message = f"{rate} for {format_time(self.duration)} is less than one {one}"
        refuse(conflict_if(self.find.lowest * self.duration < 1, ("duration",), message))
        return self

    def at(self, rate: PerSecond) -> Stage:
        """Return the stage that offers one rate of the search."""
        key = "users_per_s" if self.find.unit is RateUnit.USERS else "rps"
        level: dict[str, Any] = {key: rate}
        return Stage(**level, duration=self.duration, warmup=self.warmup, name=f"find {self.find.name(rate)}")
