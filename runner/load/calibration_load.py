"""The load that a calibration offers: one request of the planned size, without secrets, files and checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from runner.core.template import Position, assembled
from runner.core.units import PerSecond, Seconds
from runner.experiment.model import Expect, Load, Request, Stage
from runner.load.body import encoded_body
from runner.load.request import merged, target

if TYPE_CHECKING:
    from runner.experiment.scenario import Scenario

_PLACEHOLDER: Final = "x" * 32
"""Stands for the value of a variable."""


def calibration_stage(load: Load, rate: PerSecond, *, duration: Seconds, warmup: Seconds = 0.0) -> Stage:
    """Return a stage that sends requests at a rate."""
    level = {"users_per_s": rate} if load.scenarios else {"rps": rate}
    return Stage.model_validate({**level, "duration": duration, "warmup": warmup})


def stage_rate(load: Load, stage: Stage) -> PerSecond:
    """Return the requests per second of such a stage."""
    return stage.highest_user_rate if load.scenarios else stage.highest_rps


def calibration_load(load: Load, files: Mapping[str, bytes]) -> Load:
    """Return a load with the most frequent request of a load; the no-op server expects one size only.

    Args:
        load: Of the stages to come.
        files: Path in the specification to content.
    """
    part = max(load.parts, key=lambda part: part.weight)
    pieces, content_type = encoded_body(part, _fill, files)
    size = sum(len(piece.encode() if isinstance(piece, str) else piece) for piece in pieces)
    own = {name: _fill(text, Position.HEADER) for name, text in part.headers.items()}
    request = Request().model_copy(
        update={
            "method": part.method,
            "path": _literal(target(part, _fill)),
            "headers": {name: _literal(text) for name, text in merged({}, own, content_type).items()},
            "body": "x" * size if pieces else None,
        }
    )
    single = {"request": request, "requests": (), "variables": {}, "expect": Expect(), "when_full": "drop"}
    return load.model_copy(update=single | {"scenarios": _scenarios(load, request)})


def _scenarios(load: Load, request: Request) -> tuple[Scenario, ...]:
    """Return a scenario of the request alone if the load has scenarios, which take another path."""
    if not load.scenarios:
        return ()
    from runner.experiment.scenario import Scenario, Step, StepRequest  # noqa: PLC0415  (only such loads need them)

    fields = {name: getattr(request, name) for name in Request.model_fields}
    step = Step.model_construct(request=StepRequest.model_construct(name="request", expect=None, **fields))
    return (Scenario.model_construct(name="calibration", weight=1.0, steps=(step,)),)


def _fill(text: str, position: Position) -> str:
    return assembled(text, position, lambda _, __: _PLACEHOLDER)


def _literal(text: str) -> str:
    return text.replace("${", "$${")
