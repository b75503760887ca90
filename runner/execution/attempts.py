"""What `runner try` sends: each scenario, or each request of a load without scenarios, by itself (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from runner.core.errors import UsageError
from runner.experiment.model import Configuration, Load, NamedRequest
from runner.experiment.scenario import Scenario
from runner.experiment.suggestions import did_you_mean, display, join_words
from runner.experiment.trials import Trial

_ONLY_REQUEST: Final = "request"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A scenario or a request that is tried by itself.

    Attributes:
        trial: The first one of its configuration.
        name: Of the scenario or request; empty for the only request of a load.
        load: With this scenario alone; a request is a scenario of one step.
        is_scenario: False for a request.
        alternative: Which alternative of each choice is taken, from 0.
    """

    trial: Trial
    name: str
    load: Load
    is_scenario: bool
    alternative: int = 0

    @property
    def configuration(self) -> Configuration:
        """The configuration it belongs to."""
        return self.trial.configuration

    @property
    def title(self) -> str:
        """What it is called: ``scenario checkout``, ``request search`` or ``GET /session``."""
        if self.is_scenario:
            more = f" (alternative {self.alternative + 1})" if self.alternative else ""
            return f"scenario {self.name}{more}"
        part = self.load.parts[0]
        return f"request {self.name}" if self.name else f"{part.method} {part.path}"


def attempts_of(trials: Sequence[Trial], only: Sequence[str]) -> tuple[Attempt, ...]:
    """Return what to try, in the order of the specification; those of one configuration stay together.

    Args:
        trials: Of the configurations to try.
        only: Names of scenarios or requests; empty for all.

    Raises:
        UsageError: None has a name in `only`.
    """
    first = {trial.configuration.name: trial for trial in reversed(trials)}
    by_configuration = {trial.configuration.name: first[trial.configuration.name] for trial in trials}
    attempts = [attempt for trial in by_configuration.values() for attempt in _of(trial)]
    known = list(dict.fromkeys(attempt.name for attempt in attempts if attempt.name))
    for name in only:
        if name not in known:
            raise _unknown(name, known)
    return tuple(attempt for attempt in attempts if not only or attempt.name in only)


def _of(trial: Trial) -> Iterator[Attempt]:
    load = trial.configuration.load
    for scenario in load.scenarios:
        alone = load.model_copy(update={"scenarios": (scenario,)})
        choices = [len(placed.step.choose or ()) for placed in scenario.placed_steps()]
        for alternative in range(max(1, *choices)):
            yield Attempt(trial, scenario.name, alone, True, alternative)
    if not load.scenarios:
        for part in load.parts:
            yield Attempt(trial, part.name, _with_one_step(load, part), False)


def _with_one_step(load: Load, part: NamedRequest) -> Load:
    """Return a load whose only scenario sends a request once."""
    name = part.name or _ONLY_REQUEST
    scenario = Scenario.model_validate({"name": name, "steps": [{"request": name}]})
    library = part.model_copy(update={"name": name, "expect": part.criteria})
    return load.model_copy(update={"requests": (library,), "scenarios": (scenario,)})


def _unknown(name: str, known: Sequence[str]) -> UsageError:
    there_are = f"there are {join_words(known, 'and')}" if known else "its only request has no name"
    return UsageError(
        f"there is no scenario or request {display(name)} in the specification",
        hint=did_you_mean(name, known) or there_are,
    )
