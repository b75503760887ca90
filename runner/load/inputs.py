"""What the requests of a load need beside the specification: values of variables and contents of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Inputs:
    """Read once when the run starts, so that every request of a run is made of the same.

    Attributes:
        values: Name of a variable to its value. They are secrets: `repr` does not show them.
        files: Path in the specification to content.
    """

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)


NO_INPUTS = Inputs()
