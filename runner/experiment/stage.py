"""The ``stages`` of a configuration: a rate or a number of users, constant or as a ramp."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final, Self, TypeAlias

from pydantic import Discriminator, Field, Tag, model_validator

from runner.core.metrics import find_metric
from runner.core.units import PerSecond, Seconds
from runner.experiment.base_model import Conflict, SpecModel, conflict_if, refuse
from runner.experiment.fields import Line, Number, Whole
from runner.experiment.quantities import HOUR, Time, format_time
from runner.experiment.thresholds import Threshold

if TYPE_CHECKING:
    from runner.core.ramp import Ramp

MAX_RPS: Final = 1_000_000
MAX_USERS: Final = 100_000
MIN_RAMP_S: Final = 2.0
"""A slice of a ramp is at least a second long, and one slice alone would show no change."""


def stage_name(rps: float) -> str:
    """Return the default name of a stage: ``4,000 RPS``, ``0.5 RPS``."""
    return f"{_number(rps)} RPS"


def _default_name(rps: "float | RateRamp | None", users: "int | UserRamp | None") -> str:
    if isinstance(rps, RateRamp):
        return f"{_number(rps.begin)} to {_number(rps.to)} RPS"
    if rps is not None:
        return stage_name(rps)
    if isinstance(users, UserRamp):
        return f"{users.begin:,} to {users.to:,} users"
    return "" if users is None else f"{users:,} user{'' if users == 1 else 's'}"


def without_schedule(threshold: Threshold, at: tuple[str | int, ...]) -> Conflict | None:
    """Return the problem with a threshold on a metric that the closed model does not have."""
    metric = find_metric(threshold.metric)
    needs_schedule = metric is not None and metric.needs_schedule
    message = f"{threshold.metric} does not exist with users, because no request is due at a certain time"
    hint = "use duration, actual_rps or errors; thresholds of single stages are in stages[].thresholds"
    return conflict_if(needs_schedule, at, message, hint)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.6f}".rstrip("0").rstrip(".")


class RateRamp(SpecModel):
    """A rate that changes linearly over the measured window."""

    begin: Annotated[Number, Field(ge=0, le=MAX_RPS)] = Field(
        alias="from",
        description="Requests per second at the window's start, and in the warm-up.",
        examples=[10],
    )
    to: Annotated[Number, Field(ge=0, le=MAX_RPS)] = Field(
        description="Requests per second at the window's end.", examples=[500]
    )

    @property
    def mean(self) -> PerSecond:
        """The average rate over the window."""
        return (self.begin + self.to) / 2

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        message = f"should differ from 'from', which is also {stage_name(self.begin)}"
        refuse(conflict_if(self.begin == self.to, ("to",), message, f"a constant rate is rps: {self.to:g}"))
        return self


class UserRamp(SpecModel):
    """A number of users that changes linearly over the measured window."""

    begin: Annotated[Whole, Field(ge=1, le=MAX_USERS)] = Field(
        alias="from", description="Users at the window's start, and in the warm-up.", examples=[1]
    )
    to: Annotated[Whole, Field(ge=1, le=MAX_USERS)] = Field(
        description="Users at the window's end.", examples=[50]
    )

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        message = f"should differ from 'from', which is also {self.begin}"
        refuse(conflict_if(self.begin == self.to, ("to",), message, f"a constant number is users: {self.to}"))
        return self


def _level_tag(value: Any) -> str:
    return "#ramp" if isinstance(value, dict | SpecModel) else "#constant"


_Rate: TypeAlias = Annotated[
    Annotated[Number, Field(gt=0, le=MAX_RPS), Tag("#constant")] | Annotated[RateRamp, Tag("#ramp")],
    Discriminator(_level_tag),
]
_Users: TypeAlias = Annotated[
    Annotated[Whole, Field(ge=1, le=MAX_USERS), Tag("#constant")] | Annotated[UserRamp, Tag("#ramp")],
    Discriminator(_level_tag),
]


def _ramp(level: RateRamp | UserRamp) -> "Ramp":
    from runner.core.ramp import Ramp  # noqa: PLC0415  (msgspec is not needed to validate)

    return Ramp(level.begin, level.to)


class Stage(SpecModel):
    """One rate, or one ramp of rates, offered for a duration, after an optional warm-up."""

    rps: _Rate | None = Field(
        None,
        description="Offered requests per second, independent of the responses (open model); "
        "`{from: 10, to: 500}` is a linear ramp over the window. A stage has either rps or users.",
        examples=[1000],
    )
    users: _Users | None = Field(
        None,
        description="Number of users, each of which sends its next request when it has the response to the "
        "last one (closed model); `{from: 1, to: 50}` is a linear ramp over the window.",
        examples=[50],
    )
    duration: Annotated[Seconds, Time(max_s=24 * HOUR)] = Field(
        description="Length of the measured window.", examples=["30s"]
    )
    warmup: Annotated[Seconds, Time(max_s=HOUR, zero=True)] = Field(
        0.0,
        description="Load before the window, at the same rate or at the first one of a ramp; not measured.",
        examples=["5s"],
    )
    name: Line = Field(
        default_factory=lambda given: _default_name(given.get("rps"), given.get("users")),
        max_length=60,
        description="Defaults to the level, such as '4,000 RPS', '10 to 500 RPS' or '50 users'.",
    )
    thresholds: tuple[Threshold, ...] = Field(
        (), max_length=100, description="Checked against this stage, in addition to the thresholds of all."
    )

    @property
    def located_thresholds(self) -> tuple[tuple[str, ...], tuple[Threshold, ...]]:
        """Its own thresholds, after the keys that lead to them."""
        return ("thresholds",), self.thresholds

    @property
    def ramp(self) -> "Ramp | None":
        """The change of the rate over the window; None for a constant one, and in the closed model."""
        return _ramp(self.rps) if isinstance(self.rps, RateRamp) else None

    @property
    def user_level(self) -> "int | Ramp | None":
        """The number of users, or how it changes over the window; None in the open model."""
        return _ramp(self.users) if isinstance(self.users, UserRamp) else self.users

    @property
    def most_users(self) -> int:
        """The highest number of users; 0 in the open model."""
        return max(self.users.begin, self.users.to) if isinstance(self.users, UserRamp) else self.users or 0

    @property
    def target_rps(self) -> PerSecond | None:
        """The offered rate; of a ramp, its average over the window; None in the closed model."""
        return self.rps.mean if isinstance(self.rps, RateRamp) else self.rps

    @property
    def highest_rps(self) -> PerSecond:
        """The highest rate that it offers; 0 in the closed model."""
        return max(self.rps.begin, self.rps.to) if isinstance(self.rps, RateRamp) else self.rps or 0.0

    @property
    def warmup_rps(self) -> PerSecond:
        """The rate of the warm-up; 0 in the closed model."""
        return self.rps.begin if isinstance(self.rps, RateRamp) else self.rps or 0.0

    def rate_at(self, t_s: Seconds) -> PerSecond | None:
        """Return the rate that it offers at a time after the start of the measured window."""
        share = min(1.0, max(0.0, t_s / self.duration))
        return self.ramp.at(share) if self.ramp else self.target_rps

    @property
    def level(self) -> str:
        """What it offers, such as ``4,000 RPS``, ``10 to 500 RPS`` or ``50 users``."""
        return _default_name(self.rps, self.users)

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        both = self.rps is not None and self.users is not None
        message = "a stage has either rps or users, not both"
        refuse(
            conflict_if(both, ("users",), message, "rps is a rate, users wait for their responses"),
            conflict_if(not both and not self.level, (), "needs rps or users", "such as rps: 1000"),
        )
        few = self.target_rps is not None and self.target_rps * self.duration < 1
        message = f"{self.name} for {format_time(self.duration)} is less than one request"
        refuse(conflict_if(few, ("duration",), message), *self._ramp_conflicts(), *self._user_conflicts())
        return self

    def _user_conflicts(self) -> Iterator[Conflict | None]:
        if self.users is None:
            return
        for index, threshold in enumerate(self.thresholds):
            yield without_schedule(threshold, ("thresholds", index))

    def _ramp_conflicts(self) -> Iterator[Conflict | None]:
        if not isinstance(self.rps, RateRamp) and not isinstance(self.users, UserRamp):
            return
        message = f"should be at least {MIN_RAMP_S:g}s for a ramp, which is measured slice by slice"
        yield conflict_if(self.duration < MIN_RAMP_S, ("duration",), message)
        idle = self.warmup and self.ramp and not self.warmup_rps
        message = "a ramp from 0 RPS has no warm-up, because the warm-up has the first rate"
        yield conflict_if(idle, ("warmup",), message, "remove warmup, or let the ramp begin above 0")
