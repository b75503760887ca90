"""An experiment as a complete specification: all defaults, overrides and overlays applied, with units.

An archive contains it to show exactly what was run; reading it gives the same experiment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

import yaml

from runner.experiment.base_model import SpecModel
from runner.experiment.model import Experiment
from runner.experiment.quantities import PauseTime, Size, Time, format_pause, format_size, format_time
from runner.experiment.thresholds import Threshold
from runner.experiment.yaml.scalars import resolve

_UNITS: Final[Mapping[type, Callable[[Any], Any]]] = {
    Time: format_time,
    Size: format_size,
    PauseTime: format_pause,
}


def resolved_text(experiment: Experiment) -> str:
    """Return a specification without overlays or matrix; keys that are not set are omitted."""
    content = _plain(experiment)
    content.pop("matrix", None)  # resolved: its combinations are configurations
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    """Quotes text that would otherwise be read as another type."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  (specifications have no anchors)
        """Return True, so that equal values are repeated instead of referenced."""
        return True


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = None if isinstance(resolve(value), str) else "'"
    if not value.replace("\n", "").isprintable():
        style = '"'  # with escapes, because a file must not contain control characters
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _plain(value: Any) -> Any:
    """Return the value as a file contains it."""
    match value:
        case Threshold():
            return value.expr
        case SpecModel():
            fields = value.fields_by_key()
            keys = [key for key in fields if key not in value.unused_keys()]
            return {
                key: _field(value, fields[key]) for key in keys if getattr(value, fields[key]) is not None
            }
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case tuple() | list():
            return [_plain(item) for item in value]
        case float():
            return int(value) if value.is_integer() else float(value)
        case _:
            return value.value if isinstance(value, StrEnum) else value


def _field(model: SpecModel, name: str) -> Any:
    """Return a field's value; the type with the unit may be within ``Annotated[...] | None``."""
    value, field = getattr(model, name), type(model).model_fields[name]
    members = getattr(field.annotation, "__args__", ())
    markers = [
        *field.metadata,
        *(marker for member in members for marker in getattr(member, "__metadata__", ())),
    ]
    format_unit = next((_UNITS[type(marker)] for marker in markers if type(marker) in _UNITS), None)
    return format_unit(value) if format_unit and value else _plain(value)  # 0 needs no unit
