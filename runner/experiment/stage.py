"""The ``stages`` of a configuration: a rate or a number of users, constant or as a ramp."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Self, TypeAlias

from pydantic import Discriminator, Field, Tag, model_validator

from runner.core.codes import RateUnit
from runner.core.metrics import find_metric
from runner.core.units import PerSecond, Seconds
from runner.experiment.base_model import Conflict, SpecModel, WhenUsed, conflict_if, refuse
from runner.experiment.fields import Line, Number, Whole
from runner.experiment.quantities import HOUR, Time, format_time
from runner.experiment.suggestions import join_words
from runner.experiment.thresholds import Threshold

if TYPE_CHECKING:
    from runner.core.ramp import Ramp

MAX_RPS: Final = 1_000_000
MAX_USERS: Final = 100_000
MAX_USERS_PER_S: Final = 100_000
_LEVELS: Final = ("rps", "users", "users_per_s")
"""The keys of what a stage offers, of which it has one."""
MIN_RAMP_S: Final = 2.0
"""A slice of a ramp is at least a second long, and one slice alone would show no change."""


def stage_name(rps: float) -> str:
    """Return the default name of a stage: ``4,000 RPS``, ``0.5 RPS``."""
    return f"{_number(rps)} RPS"


def user_rate_name(users_per_s: float) -> str:
    """Return the default name of a stage: ``20 users/s``, ``1 user/s``."""
    return f"{_number(users_per_s)} user{'' if users_per_s == 1 else 's'}/s"


def rate_name(rate: float, unit: RateUnit) -> str:
    """Return a rate with its unit, as the default name of its stage."""
    return user_rate_name(rate) if unit is RateUnit.USERS else stage_name(rate)


def _default_name(given: Mapping[str, Any]) -> str:
    """Return the name of a level, from the fields of a stage; empty if it has none."""
    rps, users, user_rate = given.get("rps"), given.get("users"), given.get("users_per_s")
    if isinstance(user_rate, UserRateRamp):
        return f"{_number(user_rate.begin)} to {_number(user_rate.to)} users/s"
    if user_rate is not None:
        return user_rate_name(user_rate)
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


class UserRateRamp(SpecModel):
    """A number of users who start per second, which changes linearly over the measured window."""

    begin: Annotated[Number, Field(ge=0, le=MAX_USERS_PER_S)] = Field(
        alias="from",
        description="Users who start per second at the window's start, and in the warm-up.",
        examples=[1],
    )
    to: Annotated[Number, Field(ge=0, le=MAX_USERS_PER_S)] = Field(
        description="Users who start per second at the window's end.", examples=[20]
    )

    @property
    def mean(self) -> PerSecond:
        """The average rate over the window."""
        return (self.begin + self.to) / 2

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        message = f"should differ from 'from', which is also {_number(self.begin)}"
        hint = f"a constant rate is users_per_s: {self.to:g}"
        refuse(conflict_if(self.begin == self.to, ("to",), message, hint))
        return self


def _level_tag(value: Any) -> str:
    return "#ramp" if isinstance(value, dict | SpecModel) else "#constant"


_Rate: TypeAlias = Annotated[
    Annotated[Number, Field(gt=0, le=MAX_RPS), Tag("#constant")]
    | Annotated[RateRamp, WhenUsed(), Tag("#ramp")],
    Discriminator(_level_tag),
]
_UserRate: TypeAlias = Annotated[
    Annotated[Number, Field(gt=0, le=MAX_USERS_PER_S), Tag("#constant")]
    | Annotated[UserRateRamp, WhenUsed(), Tag("#ramp")],
    Discriminator(_level_tag),
]
_Users: TypeAlias = Annotated[
    Annotated[Whole, Field(ge=1, le=MAX_USERS), Tag("#constant")]
    | Annotated[UserRamp, WhenUsed(), Tag("#ramp")],
    Discriminator(_level_tag),
]


def _ramp(level: RateRamp | UserRamp | UserRateRamp) -> "Ramp":
    from runner.core.ramp import Ramp  # noqa: PLC0415  (msgspec is not needed to validate)

    return Ramp(level.begin, level.to)


class Stage(SpecModel):
    """One rate, or one ramp of rates, offered for a duration, after an optional warm-up."""

    rps: _Rate | None = Field(
        None,
        description="Offered requests per second, independent of the responses (open model); "
        "`{from: 10, to: 500}` is a linear ramp over the window. A stage has one of rps, users, users_per_s.",
        examples=[1000],
    )
    users: _Users | None = Field(
        None,
        description="Number of users, each of which sends its next request when it has the response to the "
        "last one (closed model); `{from: 1, to: 50}` is a linear ramp over the window. With scenarios, "
        "a new user takes the place of one that has ended.",
        examples=[50],
    )
    users_per_s: _UserRate | None = Field(
        None,
        description="Users who start a scenario per second, independent of how long they take (open model); "
        "`{from: 1, to: 20}` is a linear ramp over the window. Only with scenarios.",
        examples=[20],
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
        default_factory=_default_name,
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

    @property
    def user_rate(self) -> PerSecond | None:
        """Users who start per second; of a ramp, the average over the window; None with rps or users."""
        return self.users_per_s.mean if isinstance(self.users_per_s, UserRateRamp) else self.users_per_s

    @property
    def user_rate_ramp(self) -> "Ramp | None":
        """The change of `user_rate` over the window; None for a constant one, and with rps or users."""
        return _ramp(self.users_per_s) if isinstance(self.users_per_s, UserRateRamp) else None

    @property
    def user_rate_level(self) -> "PerSecond | Ramp | None":
        """Users who start per second, or how their number changes; None with rps or users."""
        return self.user_rate_ramp or self.user_rate

    @property
    def highest_user_rate(self) -> PerSecond:
        """The most users who start per second; 0 with rps or users."""
        rate = self.users_per_s
        return max(rate.begin, rate.to) if isinstance(rate, UserRateRamp) else rate or 0.0

    @property
    def warmup_user_rate(self) -> PerSecond:
        """Users who start per second in the warm-up; 0 with rps or users."""
        rate = self.users_per_s
        return rate.begin if isinstance(rate, UserRateRamp) else rate or 0.0

    def rate_at(self, t_s: Seconds) -> PerSecond | None:
        """Return the rate that it offers at a time after the start of the measured window."""
        share = min(1.0, max(0.0, t_s / self.duration))
        return self.ramp.at(share) if self.ramp else self.target_rps

    @property
    def level(self) -> str:
        """What it offers, such as ``4,000 RPS``, ``10 to 500 RPS``, ``50 users`` or ``20 users/s``."""
        return _default_name({"rps": self.rps, "users": self.users, "users_per_s": self.users_per_s})

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        first, *others = [key for key in _LEVELS if getattr(self, key) is not None] or [""]
        message = f"a stage has either {first} or {others[0] if others else ''}, not both"
        hint = "rps and users_per_s are rates, users wait for their responses"
        refuse(
            conflict_if(others, (others[0] if others else "",), message, hint),
            conflict_if(not first, (), f"needs {join_words(_LEVELS)}", "such as rps: 1000"),
        )
        refuse(self._too_short(), *self._ramp_conflicts(), *self._user_conflicts())
        return self

    def _too_short(self) -> Conflict | None:
        rate, unit = (self.target_rps, "request") if self.user_rate is None else (self.user_rate, "user")
        few = rate is not None and rate * self.duration < 1
        message = f"{self.name} for {format_time(self.duration)} is less than one {unit}"
        return conflict_if(few, ("duration",), message)

    def _user_conflicts(self) -> Iterator[Conflict | None]:
        if self.users is None:
            return
        for index, threshold in enumerate(self.thresholds):
            yield without_schedule(threshold, ("thresholds", index))

    def _ramp_conflicts(self) -> Iterator[Conflict | None]:
        levels = (self.rps, self.users, self.users_per_s)
        if not any(isinstance(level, SpecModel) for level in levels):
            return
        message = f"should be at least {MIN_RAMP_S:g}s for a ramp, which is measured slice by slice"
        yield conflict_if(self.duration < MIN_RAMP_S, ("duration",), message)
        rates = (self.rps, self.users_per_s)
        from_zero = any(isinstance(rate, RateRamp | UserRateRamp) and not rate.begin for rate in rates)
        idle = self.warmup and from_zero
        first = "0 RPS" if self.users_per_s is None else "0 users/s"
        message = f"a ramp from {first} has no warm-up, because the warm-up has the first rate"
        yield conflict_if(idle, ("warmup",), message, "remove warmup, or let the ramp begin above 0")
