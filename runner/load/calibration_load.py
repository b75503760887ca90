"""The load that a calibration offers: one request of the planned size, without secrets, files and checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from runner.core.template import Position, assembled
from runner.experiment.model import Expect, Load, Request
from runner.load.body import encoded_body
from runner.load.request import merged, target

_PLACEHOLDER: Final = "x" * 32
"""Stands for the value of a variable."""


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
    single = {"request": request, "requests": (), "variables": {}}
    return load.model_copy(update=single | {"expect": Expect(), "when_full": "drop"})


def _fill(text: str, position: Position) -> str:
    return assembled(text, position, lambda _, __: _PLACEHOLDER)


def _literal(text: str) -> str:
    return text.replace("${", "$${")
